use super::*;

pub(super) const WHOLE: &str = r#"
name: confused-classifier
hypothesis: Somebody notices.
seed: 7
target:
  protocol: open-inference
  when: request.path.startsWith("/v2/models/iris/")
exposure:
  unit: request.headers["x-user-id"]
  share: 25%
  layer: serving
phases:
  - name: steady
    lasts: 30s
  - name: broken
    lasts: 60s
    inject:
      - fault: { reset: {} }
      - fault: { hang: {} }
        ramp: 15s
      - fault: { hang: {} }
        share: 5%
    expect:
      - fires: { alert: HighErrorRate, within: 30s }
      - silent: { alert: PredictionDrift }
  - name: recovery
    at: 95s
    lasts: 60s
    expect:
      - clears: { alert: HighErrorRate, within: 45s }
abort:
  - query: { monitor: prometheus, promql: 'sum(rate(failed[1m])) > 5' }
  - observed: { error-rate: "> 20%", latency-p99: "> 2s" }
"#;

#[test]
fn a_whole_scenario_compiles() {
    let plan = compile(&Source::new("whole.yaml", WHOLE)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(plan.lasts(), std::time::Duration::from_secs(155));
    assert_eq!(plan.phase_at(std::time::Duration::from_secs(92)), None);
    assert_eq!(plan.guards.len(), 2);
    let broken = &plan.phases[1];
    let ids: Vec<&str> = broken.injections.iter().map(|i| i.id.as_str()).collect();
    assert!(ids.contains(&"broken/hang") && ids.contains(&"broken/hang#2"), "{ids:?}");
    assert!(broken.injections.is_sorted_by_key(|i| i.fault.stage()));
    assert_eq!(broken.expectations[0].line, Some(24));
    assert_eq!(plan.exposure.key, crate::draw::Key::new(7, "exposure/serving"));
    let hang = broken.injections.iter().find(|i| i.id == "broken/hang#2").unwrap();
    assert_eq!(hang.key, crate::draw::Key::new(7, "broken/2/hang"));
    assert_eq!(hang.mark, "confused-classifier/hang");
}

#[test]
fn a_misspelt_key_is_pointed_at_even_with_a_mapping_below_it() {
    let text = WHOLE.replace("target:\n", "targte:\n");
    let found = compile(&Source::new("t.yaml", text.as_str())).unwrap_err();
    let mistake = found.list.iter().find(|d| d.message.contains("targte")).unwrap();
    assert_eq!((mistake.line, mistake.column), (5, 1), "{found}");
}

#[test]
fn a_plan_travels_as_its_document() {
    let plan = compile(&Source::new("whole.yaml", WHOLE)).unwrap();
    let json = serde_json::to_string(&plan.document).unwrap();
    let document: Document = serde_json::from_str(&json).unwrap();
    assert_eq!(document, plan.document);
    let again = compile_document(document).unwrap();
    assert_eq!(again.document, plan.document);
    assert_eq!(again.outline().len(), 3);
}

#[test]
fn a_document_without_a_text_names_paths() {
    let mut document = compile(&Source::new("whole.yaml", WHOLE)).unwrap().document;
    document.phases[1].lasts = crate::unit::Span::ZERO;
    document.target.when = Some("request.host == 1".into());
    let errors = compile_document(document).unwrap_err();
    assert!(errors.iter().any(|e| e.starts_with("phases[1].lasts: ")), "{errors:?}");
    assert!(errors.iter().any(|e| e.starts_with("target.when: ")), "{errors:?}");
}

/// What is said about a text: place, message, label and help, one mistake a line.
fn said(result: Result<(), Diagnostics>) -> String {
    let list = result.expect_err("it must be refused").list;
    assert!(!list.is_empty());
    let line = |d: &Diagnostic| {
        let help = d.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}:{} {} [{}]{help}", d.line, d.column, d.message, d.label)
    };
    list.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn scenario(text: &str) -> String {
    said(compile(&Source::new("bad.yaml", text)).map(drop))
}

fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = WHOLE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    scenario(&text)
}

#[test]
fn what_is_no_document_is_refused() {
    insta::assert_snapshot!(scenario(""), @r#"1:1 the file is empty [nothing here] (`canard init` writes a starter to begin from)"#);
    insta::assert_snapshot!(scenario("# nothing\n"), @r#"1:1 the file is empty [nothing here] (`canard init` writes a starter to begin from)"#);
    insta::assert_snapshot!(scenario("- a\n"), @r#"1:3 the file holds no mapping (`key: value`) [this is something else]"#);
    insta::assert_snapshot!(scenario("name: a\nname: b\n"), @r#"2:1 `name` stands twice in one mapping [the second one] (keep one of the two)"#);
    insta::assert_snapshot!(scenario("name: a\n---\nname: b\n"), @r#"3:1 the file holds more than one YAML document [another one begins here] (one file, one document: split it at `---`)"#);
    insta::assert_snapshot!(scenario("name: a\ntarget:\n\tprotocol: http\n"), @r#"3:1 this line is indented with a tab [a tab] (YAML is indented with spaces, never with tabs)"#);
    insta::assert_snapshot!(scenario("name: [a\n"), @r#"1:7 this is not YAML: unclosed bracket '[' [here] (close it with `]` or `}`, or put the text in quotes)"#);
    insta::assert_snapshot!(scenario(&("[".repeat(100) + &"]".repeat(100))), @r#"1:33 the document is too large, too deep, or grows too much through its anchors [reading stops here] (at most 32 levels, 20000 values and 100 anchors; write repeated parts out or leave them out)"#);
    let mut bomb = "a: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..9 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
    }
    insta::assert_snapshot!(scenario(&bomb), @r#"5:15 the document is too large, too deep, or grows too much through its anchors [reading stops here] (at most 32 levels, 20000 values and 100 anchors; write repeated parts out or leave them out)"#);
    assert!(scenario(&"x".repeat(2 << 20)).contains("larger than 1024 KiB"));
}

#[test]
fn what_is_no_yaml_is_shown_where_it_is() {
    let texts = [
        "name: a\nphases: [\n",
        "name: a\nwhen: !!!true\n",
        "name: *foo\n",
        "seed: 1\nname: @foo\n",
        "name: \"abc\nseed: 1\n",
        "name: \"é\\q\"\n",
        "name: a\n  seed: 1\n",
        "name: a\nhypothesis: fires: a\n",
        "name: a\ntarget:\n  protocol: http\n x: 1\n",
        "name: a\nseed: 3]\ntarget: }\n",
        "name: a\nseed\ntarget: 1\n",
        "name: {a: b\r\nseed: 1\r\n",
        "hypothesis: |\n  \tx\nname: a\nseed: 1\ntarget: [\n",
    ];
    insta::assert_snapshot!(texts.map(scenario).join("\n"), @r#"
2:9 this is not YAML: unclosed bracket '[' [here] (close it with `]` or `}`, or put the text in quotes)
2:7 this is not YAML: while parsing a tag, did not find expected tag URI [here] (a text that begins with `!` goes in quotes)
1:7 this is not YAML: reference to unknown value [here] (a text that begins with `*` goes in quotes; an alias needs its `&anchor` before it)
2:7 this is not YAML: unexpected character: `@' [here] (a text that begins with this character goes in quotes)
2:1 this is not YAML: invalid indentation in multiline quoted scalar [here] (is the quote closed? a text needs the same quote at its beginning and its end)
1:7 this is not YAML: while parsing a quoted scalar, found unknown escape character [here] (`\` in double quotes begins an escape: write `\\`, or use single quotes)
2:7 this is not YAML: mapping values are not allowed in this context [here] (a text with `: ` in it goes in quotes; keys of one mapping are indented alike)
2:18 this is not YAML: mapping values are not allowed in this context [here] (a text with `: ` in it goes in quotes; keys of one mapping are indented alike)
4:2 this is not YAML: while parsing a block mapping, did not find expected key [here] (keys of one mapping are indented alike)
3:9 this is not YAML: misplaced bracket [here] (nothing was opened that this closes; a text that holds it goes in quotes)
2:1 this is not YAML: simple key expected ':' [here] (a key is followed by `: ` and its value)
2:5 this is not YAML: while parsing a flow mapping, did not find expected ',' or '}' [here] (separate entries by `,` and close the mapping with `}`)
5:9 this is not YAML: unclosed bracket '[' [here] (close it with `]` or `}`, or put the text in quotes)
"#);
}

#[test]
fn every_mistake_is_told_at_once() {
    insta::assert_snapshot!(changed(&[
        ("request.path.starts", "request.pth.starts"),
        ("share: 25%", "share: 120%"),
        ("name: steady", "nmae: steady"),
        ("lasts: 30s", "lasts: 0s"),
        ("{ reset: {} }", "reset"),
        ("share: 5%", "share: 5"),
        ("fires:", "fire:"),
    ]), @r#"
7:17 this expression can't be used: a request has no `pth`; did you mean `request.path`? [here] (CEL over `request.method`, `request.path`, `request.headers["…"]` and `request.body`, such as `request.path.startsWith("/v2/")`)
10:10 `120%` is not between 0% and 100% [this value]
13:5 unknown key `nmae` [did you mean `name`?] (here can stand `name`, `at`, `lasts`, `warm-up`, `share`, `inject` or `expect`)
14:12 a phase of no length does nothing [here] (give it a length, such as 30s)
18:16 `reset` has settings: write `reset: { … }`, or `reset: {}` for the defaults [this value]
22:16 `5` is no share; write it in percent, like 25% [this value]
24:9 nothing is called `fire` [did you mean `fires`?] (in this place can stand `fires`, `silent`, `clears` or `holds`)
"#);
    insta::assert_snapshot!(scenario("nmae: a\ntarget: 5\nphases: {}\n"), @r#"
1:1 unknown key `nmae` [did you mean `name`?] (here can stand `name`, `hypothesis`, `seed`, `repeat`, `null-runs`, `target`, `exposure`, `release`, `traffic`, `phases`, `environments`, `abort` or `mark`)
2:9 a mapping (`key: value`) is wanted here, not a number [this value]
3:1 a list (`- …` or `[…]`) is wanted here, not a mapping [this value]
"#);
    insta::assert_snapshot!(scenario("name: a\ntarget: { protocol: telnet }\nphases: [{ name: a, lasts: soon }]\n"), @r#"
2:21 nothing is called `telnet` [not known] (in this place can stand `open-inference`, `kserve-v1`, `tf-serving`, `mlflow`, `openai`, `anthropic`, `ollama`, `tgi`, `tei`, `cohere`, `triton-generate`, `torchserve`, `sagemaker`, `bentoml`, `ray-serve`, `litserve`, `auto`, `json` or `http`)
3:28 `soon` is no span of time; write it like 250ms, 30s, 5m or 1m30s [this value]
"#);
}

#[test]
fn what_can_not_be_meant_is_refused() {
    insta::assert_snapshot!(changed(&[("share: 25%", "share: 0%")]), @r#"10:10 a share of 0% treats nobody [here] (give the share of units that are treated, such as 25%)"#);
    insta::assert_snapshot!(changed(&[("share: 5%", "share: 50%"), ("ramp: 15s", "ramp: 2m")]), @r#"
20:15 the ramp of 2m is longer than its phase of 1m [never reaches full size] (shorten the ramp or lengthen the phase)
22:16 50% is more than the blast radius of 25% [more than `exposure.share`] (the units that get a fault are among the treated: lower this share or raise `exposure.share`)
"#);
    insta::assert_snapshot!(changed(&[("at: 95s", "at: 80s")]), @r#"27:9 phase `recovery` begins at 1m20s, before `broken` ends at 1m30s [overlaps] (phases follow one another: leave `at` out, or begin at 1m30s or later)"#);
    insta::assert_snapshot!(changed(&[("within: 45s", "within: 90s"), ("name: broken", "name: steady")]), @r#"
15:11 another phase is called `steady` already [must be unique]
30:49 the run ends 1m after this phase begins, before the 1m30s are over [could not be told] (shorten `within`, lengthen the phase, or add a recovery phase behind it)
"#);
    insta::assert_snapshot!(changed(&[("{ error-rate: \"> 20%\", latency-p99: \"> 2s\" }", "{}")]), @r#"33:5 this guard has no limit, so it guards nothing [here] (give `error-rate: "> 20%"` or `latency-p99: "> 2s"`)"#);
    insta::assert_snapshot!(changed(&[("name: confused-classifier", "name: a b/c")]), @r#"2:7 the name of the scenario `a b/c` holds ' ' [here] (it becomes part of ids, headers and file names: use a-z, A-Z, 0-9, `-`, `_` and `.`)"#);
    insta::assert_snapshot!(
        changed(&[("open-inference", "http"), ("{ reset: {} }", "{ corrupt: { with: nan } }")]),
        @r#"
18:18 `rate` is missing in `phases[1].inject[0].fault.corrupt` [add `rate:` here] (`canard faults corrupt` tells what it is)
18:18 `corrupt` changes predictions, which protocol `http` does not carry [here] (predictions can be changed with `open-inference`, `kserve-v1`, `tf-serving`, `mlflow`, `tei`, `torchserve`, `sagemaker`, `bentoml`, `ray-serve`, `litserve`, `auto`; a transport fault (latency, error, hang, reset) works on every protocol)
"#
    );
    insta::assert_snapshot!(changed(&[("lasts: 60s", "lasts: 60s\n    warm-up: true")]), @"17:14 phase `broken` warms up, and it injects or expects something [here] (what is to be judged belongs in a phase after it)");
    assert!(scenario("name: a\ntarget: { protocol: http }\nphases: []\n").contains("at least one phase"));
    assert!(
        scenario("name: a\ntarget: { protocol: http }\ntraffic: { rate: 5/s, requests: no.jsonl }\nphases: [{ name: a, lasts: 1s }]\n")
            .contains("`no.jsonl` can't be read")
    );
}

fn stage(text: &str) -> Result<StageDocument, Diagnostics> {
    compile_stage(&Source::new("stage.yaml", text), &|name| (name == "TOKEN").then(|| "s3cret".to_owned()))
}

#[test]
fn a_stage_takes_secrets_from_variables_and_never_shows_them() {
    let text =
        "upstream: http://h:1\nmonitors:\n  p: { prometheus: { url: 'http://h:9090', token: '${TOKEN}' } }\n";
    let fine = stage(text).unwrap();
    assert!(matches!(&fine.monitors["p"], Monitor::Prometheus(p) if p.token.as_deref() == Some("s3cret")));
    assert!(!format!("{fine:?}").contains("s3cret"));
    assert!(stage("upstream: demo\n").unwrap().has_demo() && !fine.has_demo());
    let leaky = text.replace("http://h:1", "${TOKEN}").replace("url:", "poll: '${TOKEN}', url:");
    let told = said(stage(&leaky).map(drop));
    assert!(!told.contains("s3cret"), "{told}");
    insta::assert_snapshot!(told, @r#"
1:11 this is no http:// or https:// address [here] (write it like `http://127.0.0.1:9090`)
3:28 the value that stands for this variable does not fit here [after the variable is filled in] (check the variable in the environment; its value is not shown)
"#);
    insta::assert_snapshot!(said(stage(&text.replace("${TOKEN}", "${OTHER}")).map(drop)), @r#"3:51 the environment variable `OTHER` is not set [here] (set it first: `export OTHER=…`)"#);
    insta::assert_snapshot!(said(stage(&text.replace("${TOKEN}", "plain")).map(drop)), @r#"3:51 a token does not belong in a file [a secret in plain text] (write `${VARIABLE}` and set that in the environment)"#);
}

#[test]
fn a_wrong_stage_is_refused() {
    insta::assert_snapshot!(said(stage("
upstream: ftp://x
sidecars: [{ url: 'http://a:1' }]
sidecar: { listen: 9000 }
monitors:
  p: { prometheus: { url: localhost:9090, poll: 0s } }
  hook: { webhook: { listen: '127.0.0.1' } }
  b: { builtin: { rules: { Slow: { signal: { latency: 95% }, fires: '> 5%', window: 0s } } } }
  c: { grafana: {} }
").map(drop)), @r#"
2:11 this is no http:// or https:// address [here] (write it like `http://127.0.0.1:9090`)
3:1 a stage has an upstream or sidecars, not both [with `upstream`, canard hosts the sidecar itself] (keep `upstream` to put a sidecar in front of it, or `sidecars` to drive those that stand there)
4:1 canard hosts no sidecar where `sidecars` are given [here] (leave `sidecar` out; those that stand there have their own settings)
4:20 this is no address to listen on [here] (write it as `address:port`, such as `127.0.0.1:9911`; port 0 takes any free one)
6:27 this is no http:// or https:// address [here] (write it like `http://127.0.0.1:9090`)
6:49 looking without a pause would flood the monitor [here] (give the time between looks, such as 1s)
7:30 this is no address to listen on [here] (write it as `address:port`, such as `127.0.0.1:9911`; port 0 takes any free one)
8:69 `> 5%` is no limit on a time [here] (write it with its unit, such as `> 250ms` or `> 2s`)
8:85 a window of no length holds nothing [here] (such as 10s)
9:8 nothing is called `grafana` [not known] (in this place can stand `prometheus`, `alertmanager`, `webhook` or `builtin`)
"#);
}

#[test]
fn a_scenario_must_fit_its_stage() {
    let source =
        Source::new("whole.yaml", WHOLE.replace("HighErrorRate, within: 30s", "HighErorRate, within: 30s"));
    let document = compile(&source).unwrap().document;
    let list = check_against_stage(&document, &source, &default_stage());
    insta::assert_snapshot!(said(Err(Diagnostics { source: source.clone(), list })), @r#"
24:25 no monitor of the stage `built-in` knows `HighErorRate` [did you mean `HighErrorRate`?] (its rules are `EmptyAnswers`, `HighErrorRate`, `HighLatency`, `InvalidPredictions`, `MissingFinishReason`, `PredictionDrift` or `SlowFirstToken`)
32:23 the stage `built-in` has no monitor `prometheus` [not there] (its monitors are `builtin`)
"#);
    let prometheus = stage("monitors: { prometheus: { prometheus: { url: 'http://h:9090' } } }").unwrap();
    assert_eq!(check_against_stage(&document, &source, &prometheus), []);
}

#[test]
fn every_example_of_the_catalogue_compiles() {
    for entry in crate::fault::Fault::catalogue() {
        let example = entry.example.trim_end().replace('\n', "\n      ");
        let targets = [
            "protocol: open-inference, labels: [setosa, versicolor, virginica]",
            "protocol: open-inference",
            "protocol: openai",
            "protocol: cohere",
        ];
        let compiled = targets.map(|target| {
            let text = format!(
                "name: example\ntarget: {{ {target} }}\nphases:\n  - name: broken\n    lasts: 10m\n    inject:\n      {example}\n"
            );
            compile(&Source::new(entry.name, text)).map(drop).map_err(|error| error.to_string())
        });
        assert!(compiled.contains(&Ok(())), "{compiled:?}");
    }
}

fn told(from: &str, to: &str) -> Vec<String> {
    let text = WHOLE.replace(from, to);
    assert_ne!(text, WHOLE, "{from}");
    let list = compile(&Source::new("t.yaml", text.as_str())).map_or_else(|wrong| wrong.list, |_| Vec::new());
    list.into_iter().map(|d| format!("{} [{}]", d.message, d.label)).collect()
}

#[test]
fn a_mistake_in_settings_is_not_told_again_as_settings_that_are_missing() {
    assert_eq!(
        told("reset: {}", "latency: { fixed: 300 }"),
        ["`300` is no span of time; write it like 250ms, 30s, 5m or 1m30s [this value]"]
    );
    let error = told("reset: {}", "error: { because: 503 }");
    assert!(!error.iter().any(|mistake| mistake.contains("does not say which error")), "{error:?}");
    assert_eq!(
        told("error-rate: \"> 20%\", latency-p99: \"> 2s\"", "error-rate: \"> sixty\""),
        ["`> sixty` is no limit; write it like \"> 20%\", \"> 250ms\" or \"< 0.5\" [this value]"]
    );
    assert_eq!(
        told("reset: {}", "swap: { classes: [a, b] }"),
        [
            "`between` is missing in `phases[1].inject[0].fault.swap` [add `between:` here]",
            "unknown key `classes` [not known]"
        ]
    );
}

#[test]
fn a_key_one_level_too_high_is_sent_to_its_place_and_read_there() {
    assert_eq!(
        told("ramp: 15s", "square: { period: 10 }"),
        [
            "unknown key `square` [stands under `shape:`]",
            "`10` is no span of time; write it like 250ms, 30s, 5m or 1m30s [this value]"
        ]
    );
    assert_eq!(
        told("fault: { reset: {} }", "reset: { rate: 0 }"),
        [
            "unknown key `reset` [stands under `fault:`]",
            "`0` is no share; write it in percent, like 25% [this value]"
        ]
    );
}

#[test]
fn servers_are_known_by_their_own_names_and_every_double_key_is_told() {
    assert_eq!(
        told("protocol: open-inference", "protocol: vllm"),
        ["nothing is called `vllm` [did you mean `openai`?]"]
    );
    assert_eq!(
        told("    lasts: 30s\n", "    lasts: 30s\n    lasts: 31s\n    name: again\n"),
        [
            "`lasts` stands twice in one mapping [the second one]",
            "`name` stands twice in one mapping [the second one]"
        ]
    );
    assert_eq!(
        told(
            "exposure:\n  unit: request.headers[\"x-user-id\"]\n  share: 25%\n  layer: serving",
            "exposure: { unit: request.headers[\"x\"] }"
        ),
        ["this text has to be quoted [the text goes on here]"]
    );
}
