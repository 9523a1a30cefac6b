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
