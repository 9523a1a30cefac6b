//! The scenario and the stage that the README shows are ones that canard takes.

use std::path::Path;

use canard::scenario::{FileKind, Source, StageDocument, compile_for, compile_stage, forbidden};

/// The fenced YAML blocks that begin with `# name`, such as `# scenario.yaml`.
fn blocks<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let fenced = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    fenced.filter(|block| block.lines().next() == Some(&format!("# {name}"))).collect()
}

fn stage(block: &str) -> StageDocument {
    let stage = compile_stage(&Source::new("stage.yaml", block), &|_| None);
    stage.unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn what_the_readme_shows_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (scenarios, stages) = (blocks(&text, "scenario.yaml"), blocks(&text, "stage.yaml"));
    #[cfg(feature = "cli")]
    for block in blocks(&text, "calendar.yaml") {
        let calendar = canard::scenario::compile_calendar(&Source::new("calendar.yaml", block));
        calendar.unwrap_or_else(|errors| panic!("{errors}"));
    }
    assert!(!scenarios.is_empty() && !stages.is_empty());
    let stages: Vec<_> = stages.into_iter().map(stage).collect();
    for block in scenarios {
        compile_for(&Source::new("scenario.yaml", block), &stages[0])
            .unwrap_or_else(|errors| panic!("{errors}"));
    }
}

/// The default limits of a stage are for scenarios that are out of the ordinary.
#[test]
fn every_scenario_here_keeps_to_the_default_limits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["scenarios", "scenarios/catalogue", "examples", "src/cli/init"] {
        let folder = root.join(folder);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            let named = |name: &str| file.file_name().is_some_and(|n| n == name);
            if file.extension().is_some_and(|ext| ext == "yaml") && !named("stage.yaml") {
                let source = Source::read(&file).unwrap();
                sources.extend((FileKind::of(&source) == FileKind::Scenario).then_some(source));
            }
        }
    }
    let text = std::fs::read_to_string(root.join("README.md")).unwrap();
    sources
        .extend(blocks(&text, "scenario.yaml").into_iter().map(|block| Source::new("scenario.yaml", block)));
    assert!(sources.len() > 80);
    let shown = stage(blocks(&text, "stage.yaml")[0]);
    for source in sources {
        let plan = compile_for(&source, &shown).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(forbidden(&plan.document, &StageDocument::default()), [""; 0], "{}", source.name);
    }
}
