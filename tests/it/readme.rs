//! The scenario and the stage that the README shows are ones that canard takes.

use std::path::Path;

use canard::scenario::{Source, compile, compile_stage};

/// The fenced YAML blocks that begin with `# name`, such as `# scenario.yaml`.
fn blocks<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let fenced = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    fenced.filter(|block| block.lines().next() == Some(&format!("# {name}"))).collect()
}

#[test]
fn what_the_readme_shows_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (scenarios, stages) = (blocks(&text, "scenario.yaml"), blocks(&text, "stage.yaml"));
    assert!(!scenarios.is_empty() && !stages.is_empty());
    for block in scenarios {
        compile(&Source::new("scenario.yaml", block)).unwrap_or_else(|errors| panic!("{errors}"));
    }
    for block in stages {
        compile_stage(&Source::new("stage.yaml", block), &|_| None)
            .unwrap_or_else(|errors| panic!("{errors}"));
    }
}
