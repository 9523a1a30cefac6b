//! What a release means: its checks, and the injections that route a version to its own upstream.

use std::collections::BTreeSet;

use http::HeaderName;

use super::{
    check::{Checker, path},
    document::{Document, PhaseDocument},
    exposure_check, phases,
    plan::Injection,
    problem::{Problem, one_of},
    release::{GroupVersions, Release, ReleaseDocument, TwoVersions},
    shadow_check,
    shape::Shape,
    tree::Path,
};
use crate::{
    draw::Key,
    fault::{Fault, StaleModel},
    unit::Share,
};

/// Headers that mean something to who reads the response: a version would take the place of what is there.
const TAKEN: [&str; 39] = [
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "pragma",
    "proxy-authenticate",
    "proxy-connection",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-canard",
    "x-request-id",
];

/// The same of whole families, by how their names begin.
const TAKEN_FAMILIES: [&str; 4] = ["access-control-", "grpc-", "inference-header-content-", "x-canard-"];

/// Checks a release and compiles it.
pub(super) fn build(checker: &mut Checker<'_>, document: &Document) -> Option<Release> {
    let release = document.release.as_ref()?;
    let at = path(["release", release.kind()]);
    match release {
        ReleaseDocument::Canary(two) => {
            two_versions(checker, &at, two);
            steps(checker, document);
        }
        ReleaseDocument::BlueGreen(two) => {
            two_versions(checker, &at, two);
            switches(checker, document);
        }
        ReleaseDocument::Ab(groups) => ab(checker, &at, document, groups),
        ReleaseDocument::Shadow(shadow) => shadow_check::check(checker, document, shadow),
    }
    for (place, upstream, _) in release.upstreams() {
        if let Some(problem) = StaleModel::no_upstream(upstream) {
            checker.push(Problem::at(place.clone(), problem.message).maybe_help(problem.help));
        }
        if !document.exposure.caps.is_none() {
            let message = "a cap would send some requests of a unit to one version and some to the other";
            let problem = Problem::at(path(["exposure", "caps"]), message).at_key();
            checker.push(problem.help("leave the caps out: a version's requests are bounded by its share"));
            break;
        }
    }
    Release::compile(document)
}

fn header(checker: &mut Checker<'_>, at: &Path, name: &str) {
    let plain = name.to_ascii_lowercase();
    if name.parse::<HeaderName>().is_err() {
        let problem = Problem::at(at.then("header"), format!("`{name}` is no name of a header"));
        checker.push(problem.help("letters, digits and `-`, such as x-model-version"));
    } else if TAKEN.contains(&plain.as_str()) || TAKEN_FAMILIES.iter().any(|begin| plain.starts_with(begin)) {
        let problem = Problem::at(at.then("header"), format!("`{plain}` says something else already"));
        checker.push(problem.help("choose a header of your own, such as x-model-version"));
    }
}

fn two_versions(checker: &mut Checker<'_>, at: &Path, two: &TwoVersions) {
    header(checker, at, &two.header);
    for (key, name) in [("baseline", &two.baseline), ("candidate", &two.candidate)] {
        checker.name(&at.then(key), "version", name);
    }
    if two.baseline == two.candidate {
        let problem = Problem::at(at.then("candidate"), "the candidate is the baseline");
        checker.push(problem.label("the same version").help("give it a name of its own, such as v2"));
    }
}

/// The share of each phase, which has to be there.
fn shares<'a>(checker: &mut Checker<'_>, document: &'a Document) -> Vec<(usize, &'a PhaseDocument, Share)> {
    let mut shares = Vec::new();
    for (index, phase) in document.phases.iter().enumerate() {
        match phase.share {
            Some(share) => shares.push((index, phase, share)),
            None => {
                let at = path(["phases"]).then(index).then("share");
                let message = format!("phase `{}` does not say who has the candidate", phase.name);
                checker.push(Problem::at(at, message).label("no `share` here").help(
                    "add `share:`, such as 0% before the release and after a rollback, 5% for a first step",
                ));
            }
        }
    }
    if shares.len() == document.phases.len() && shares.iter().all(|(.., share)| *share == Share::NONE) {
        let problem = Problem::at(path(["release"]), "nobody ever has the candidate").at_key();
        checker.push(problem.help("give some phase a share above 0%"));
    }
    shares
}

fn steps(checker: &mut Checker<'_>, document: &Document) {
    let shares = shares(checker, document);
    for pair in shares.windows(2) {
        let [(_, former, before), (index, _, share)] = pair else { continue };
        if *share < *before && *share != Share::NONE {
            let at = path(["phases"]).then(*index).then("share");
            let message =
                format!("a canary's share does not shrink: `{}` had {before}, this is {share}", former.name);
            let problem = Problem::at(at, message).label("neither a step nor a rollback");
            checker.push(problem.help(format!("give it {before} or more, or 0% to roll back")));
        }
    }
}

fn switches(checker: &mut Checker<'_>, document: &Document) {
    let whole = document.exposure.widest();
    for (index, _, share) in shares(checker, document) {
        if share != Share::NONE && share < whole {
            let at = path(["phases"]).then(index).then("share");
            let problem = Problem::at(at, format!("a blue-green release switches everybody, not {share}"));
            checker.push(
                problem
                    .label("neither 0% nor all")
                    .help(format!("give it 0% or {whole}, or rehearse a `canary`")),
            );
        }
    }
}

fn ab(checker: &mut Checker<'_>, at: &Path, document: &Document, ab: &GroupVersions) {
    header(checker, at, &ab.header);
    let names = exposure_check::group_names(&document.exposure);
    let place = at.then("versions");
    if names.len() < 2 {
        let problem = Problem::at(place.clone(), "there are no groups to compare").at_key();
        checker.push(problem.help("split the treated: `exposure: { groups: { a: 50%, b: 50% } }`"));
    }
    let mut seen = BTreeSet::new();
    for (group, version) in &ab.versions {
        let here = place.then(group.as_str());
        checker.name(&here, "version", version);
        if !seen.insert(version) {
            let problem = Problem::at(here, format!("version `{version}` stands twice"));
            checker
                .push(problem.help("give each group a version of its own, or nobody could tell them apart"));
        }
    }
    let unknown = |keys: Vec<&String>| -> Vec<String> {
        keys.into_iter().filter(|key| !names.contains(&key.as_str())).cloned().collect()
    };
    let strange = [
        ("versions", unknown(ab.versions.keys().collect())),
        ("upstreams", unknown(ab.upstreams.keys().collect())),
    ];
    for (key, group) in strange.iter().flat_map(|(key, groups)| groups.iter().map(move |group| (*key, group)))
    {
        let problem =
            Problem::at(at.then(key).then(group.as_str()), format!("the exposure has no group `{group}`"));
        checker.push(match names.as_slice() {
            [] => problem.at_key(),
            names => problem.at_key().help(format!("its groups are {}", one_of(names))),
        });
    }
    for name in names.iter().filter(|name| !ab.versions.contains_key(**name)) {
        let problem = Problem::at(place.clone(), format!("group `{name}` has no version")).at_key();
        checker.push(problem.help(format!("add `{name}:` with the version that it gets")));
    }
}

/// The injections that send a version's requests of a phase to its own upstream.
pub(super) fn routes(document: &Document, phase: &PhaseDocument) -> Vec<Injection> {
    let Some(release) = &document.release else { return Vec::new() };
    let share = phase.share.unwrap_or(document.exposure.widest());
    let upstreams = release.upstreams().into_iter().filter(|_| share > Share::NONE).enumerate();
    let route = |(number, (_, upstream, group)): (usize, (Path, &str, Option<&str>))| {
        let suffix = if number == 0 { String::new() } else { format!("#{}", number + 1) };
        // A name that can't stand in a header was refused; the plan is thrown away then.
        let mark = http::HeaderValue::from_str(&format!("{}/release", document.name))
            .unwrap_or(http::HeaderValue::from_static("canard"));
        Injection {
            id: format!("{}/release{suffix}", phase.name),
            mark,
            fault: Fault::StaleModel(StaleModel::routed_to(upstream)),
            shape: Shape::default(),
            only: None,
            group: None,
            share: phases::share_within(document, phase.share),
            for_group: exposure_check::group_number(&document.exposure, group),
            of_release: true,
            key: Key::new(document.seed, &format!("{}/{number}/release", phase.name)),
        }
    };
    upstreams.map(route).collect()
}

#[cfg(test)]
mod tests;
