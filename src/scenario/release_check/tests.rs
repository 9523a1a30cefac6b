use crate::scenario::{Source, compile, compile_document};

fn scenario(release: &str, exposure: &str, phases: &str) -> String {
    format!(
        "name: t\ntarget: {{ protocol: http }}\nexposure: {exposure}\nrelease: {release}\nphases:\n{phases}"
    )
}

fn steps(shares: &[&str]) -> String {
    let phase = |(i, share): (usize, &&str)| format!("  - {{ name: p{i}, lasts: 1m, share: {share} }}\n");
    shares.iter().enumerate().map(phase).collect()
}

/// Line and message of each mistake.
fn wrong(text: &str) -> Vec<String> {
    let list = compile(&Source::new("t.yaml", text)).expect_err(text).list;
    list.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.message)).collect()
}

const CANARY: &str = "{ canary: { baseline: v1, candidate: v2 } }";
const HALF: &str = "{ share: 50% }";

#[test]
fn steps_grow_and_roll_back() {
    let fine = |shares: &[&str]| {
        compile(&Source::new("t.yaml", scenario(CANARY, HALF, &steps(shares))))
            .unwrap_or_else(|e| panic!("{e}"));
    };
    fine(&["0%", "1%", "5%", "5%", "50%", "0%"]);
    fine(&["1%", "0%", "1%"]);
    for (shares, message) in [
        (&["0%", "25%", "5%"][..], "8: a canary's share does not shrink: `p1` had 25%, this is 5%"),
        (&["0%", "60%"], "7: 60% is more than the blast radius of 50%"),
        (&["0%", "0%"], "4: nobody ever has the candidate"),
    ] {
        assert_eq!(wrong(&scenario(CANARY, HALF, &steps(shares))), [message]);
    }
    let unsaid =
        scenario(CANARY, HALF, "  - { name: p0, lasts: 1m, share: 5% }\n  - { name: p1, lasts: 1m }\n");
    assert_eq!(wrong(&unsaid), ["7: phase `p1` does not say who has the candidate"]);
}

#[test]
fn blue_green_switches_everybody_or_nobody() {
    let text = |shares: &[&str]| scenario(&CANARY.replace("canary", "blue-green"), HALF, &steps(shares));
    assert!(compile(&Source::new("t.yaml", text(&["0%", "50%", "0%"]))).is_ok());
    assert_eq!(wrong(&text(&["0%", "20%"])), ["7: a blue-green release switches everybody, not 20%"]);
}

#[test]
fn ab_has_a_version_for_each_group_and_for_no_other() {
    const GROUPS: &str = "{ share: 50%, groups: { a: 50%, b: 50% } }";
    let text = |versions: &str, exposure| {
        scenario(&format!("{{ ab: {{ versions: {versions} }} }}"), exposure, "  - { name: p, lasts: 1m }\n")
    };
    assert!(compile(&Source::new("t.yaml", text("{ a: v1, b: v2 }", GROUPS))).is_ok());
    for (versions, exposure, message) in [
        ("{ a: v1 }", GROUPS, "4: group `b` has no version"),
        ("{ a: v1, b: v2, c: v3 }", GROUPS, "4: the exposure has no group `c`"),
        ("{ a: v1, b: v1 }", GROUPS, "4: version `v1` stands twice"),
        ("{}", HALF, "4: there are no groups to compare"),
    ] {
        assert_eq!(wrong(&text(versions, exposure)), [message]);
    }
}

#[test]
fn names_and_headers_have_to_fit_where_they_stand() {
    for (release, message) in [
        ("{ canary: { baseline: v1, candidate: v1 } }", "4: the candidate is the baseline"),
        ("{ canary: { baseline: v 1, candidate: v2 } }", "4: the version `v 1` holds ' '"),
        ("{ canary: { baseline: v1, candidate: v2, header: 'a b' } }", "4: `a b` is no name of a header"),
        (
            "{ canary: { baseline: v1, candidate: v2, header: Content-Length } }",
            "4: `content-length` says something else already",
        ),
        (
            "{ canary: { baseline: v1, candidate: v2, upstream: not here } }",
            "4: `not here` is neither a URL nor the name of a candidate",
        ),
    ] {
        assert_eq!(wrong(&scenario(release, HALF, &steps(&["0%", "5%"]))), [message]);
    }
    for taken in
        ["grpc-status", "Set-Cookie", "location", "date", "cache-control", "access-control-allow-origin"]
    {
        let release = format!("{{ canary: {{ baseline: v1, candidate: v2, header: {taken} }} }}");
        let message = format!("4: `{}` says something else already", taken.to_lowercase());
        assert_eq!(wrong(&scenario(&release, HALF, &steps(&["0%", "5%"]))), [message]);
    }
    let routed = "{ canary: { baseline: v1, candidate: v2, upstream: v2 } }";
    let capped = scenario(routed, "{ share: 50%, caps: { total: 5 } }", &steps(&["5%"]));
    assert_eq!(
        wrong(&capped),
        ["3: a cap would send some requests of a unit to one version and some to the other"]
    );
}

#[test]
fn a_step_bounds_what_its_phase_injects() {
    let phase = |share: &str, fault: &str| {
        let inject = format!("[{{ fault: {{ latency: {{ fixed: 1ms }} }}{fault} }}]");
        let text = format!(
            "name: t\ntarget: {{ protocol: http }}\nexposure: {HALF}\n\
             phases: [{{ name: p, lasts: 1m, share: {share}, inject: {inject} }}]"
        );
        compile(&Source::new("t.yaml", text))
            .map(|plan| plan.phases[0].injections[0].outline(plan.lasts(), &plan.exposure))
    };
    assert!((phase("5%", "").unwrap().exposure_share - 0.05).abs() < 1e-12);
    assert!((phase("5%", ", share: 2%").unwrap().exposure_share - 0.02).abs() < 1e-12);
    let message = |found: Result<_, crate::scenario::Diagnostics>| found.unwrap_err().list[0].message.clone();
    assert_eq!(message(phase("5%", ", share: 20%")), "20% is more than the 5% of its phase");
    assert_eq!(message(phase("0%", "")), "nobody is treated in phase `p`, and it injects");
}

#[test]
fn a_version_with_an_upstream_is_routed_in_every_phase_that_has_it_and_travels() {
    let release = "{ ab: { versions: { a: v1, b: v2 }, upstreams: { b: new } } }";
    let exposure = "{ share: 50%, groups: { a: 50%, b: 50% } }";
    let phases = "  - { name: p, lasts: 1m, share: 5%, inject: [{ fault: { latency: { fixed: 1ms } } }] }\n  \
                  - { name: q, lasts: 1m, share: 0% }\n";
    let plan = compile(&Source::new("t.yaml", scenario(release, exposure, phases))).unwrap();
    let there = serde_json::to_string(&plan.document).unwrap();
    let there = compile_document(serde_json::from_str(&there).unwrap()).unwrap();
    assert_eq!(plan.release.as_ref().unwrap().describe(), "ab, v1 beside v2, told in x-model-version");
    for plan in [plan, there] {
        let ids: Vec<&str> = plan.phases[0].injections.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids, ["p/latency", "p/release"]);
        let route = &plan.phases[0].injections[1];
        assert_eq!((route.for_group, route.mark.to_str().unwrap()), (Some(1), "t/release"));
        assert_eq!(route.outline(plan.lasts(), &plan.exposure).size, "100% answered by new");
        assert!(plan.phases[1].injections.is_empty());
    }
}

#[test]
fn a_fault_for_one_group_is_for_its_share_of_the_treated() {
    let text = "name: t\ntarget: { protocol: http }\nexposure: { share: 80%, groups: { a: 25%, b: 75% } }\n\
                phases: [{ name: p, lasts: 1m, inject: [{ fault: { latency: { fixed: 1ms } }, group: b }] }]";
    let plan = compile(&Source::new("t.yaml", text)).unwrap_or_else(|e| panic!("{e}"));
    let fault = &plan.outline()[0].faults[0];
    assert!(
        (fault.exposure_share - 0.6).abs() < 1e-9 && (fault.overall_share - 0.6).abs() < 1e-9,
        "{fault:?}"
    );
    assert_eq!(fault.group.as_deref(), Some("b"));
}

#[test]
fn where_only_listed_units_are_treated_a_phase_has_them_all_or_nobody() {
    let text = |share: &str| {
        format!(
            "name: t\ntarget: {{ protocol: http }}\nexposure: {{ unit: 'request.path', always: [x] }}\nphases: [{{ \
             name: p, lasts: 1m, share: {share}, inject: [{{ fault: {{ latency: {{ fixed: 1ms }} }} }}] }}]"
        )
    };
    assert_eq!(wrong(&text("37%")), ["4: there is nobody to treat 37% of"]);
    let plan = compile(&Source::new("t.yaml", text("100%"))).unwrap_or_else(|e| panic!("{e}"));
    let phase = &plan.outline()[0];
    assert_eq!((phase.share, phase.faults[0].exposure_share), (Some(0.0), 0.0));
    assert_eq!(phase.listed, 1);
}
