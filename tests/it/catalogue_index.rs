//! Every fault has a scenario that shows it, under `scenarios/catalogue`, and the index there is up to date.

use std::{fmt::Write, fs, path::Path};

use canard::{
    fault::Fault,
    scenario::{Document, Expectation, Plan, Source, compile},
};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/catalogue")
}

/// The scenarios by the names of their files, without `.yaml`, in order.
fn scenarios() -> Vec<(String, Plan)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ext| ext == "yaml")).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let source = Source { name: path.display().to_string(), text: text.into(), folder: folder() };
        let plan = compile(&source).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        (path.file_stem().unwrap().to_string_lossy().into_owned(), plan)
    };
    files.iter().map(read).collect()
}

/// The names of what a scenario injects, each once, in its order.
fn faults(document: &Document) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for injection in document.phases.iter().flat_map(|phase| &phase.inject) {
        let name = injection.fault.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[test]
fn every_fault_has_a_scenario_of_its_name_that_injects_it() {
    let scenarios = scenarios();
    for (file, plan) in &scenarios {
        assert_eq!(plan.document.name, *file, "a scenario is called like its file");
        assert!(!plan.document.hypothesis.is_empty(), "{file} has no hypothesis");
    }
    let shown = |name: &str| {
        scenarios.iter().any(|(file, plan)| file == name && faults(&plan.document).contains(&name))
    };
    let missing: Vec<&str> =
        Fault::catalogue().iter().map(|entry| entry.name).filter(|name| !shown(name)).collect();
    assert!(missing.is_empty(), "no scenario in scenarios/catalogue shows {}", missing.join(", "));
}

#[test]
fn the_generated_index_is_up_to_date() {
    let path = folder().join("README.md");
    let index = index(&scenarios());
    if std::env::var_os("CANARD_BLESS").is_some() {
        fs::write(&path, &index).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == index,
        "`scenarios/catalogue/README.md` is stale: run the tests once with CANARD_BLESS=1"
    );
}

fn index(scenarios: &[(String, Plan)]) -> String {
    let mut page = String::from(
        "<!-- Written by the tests: CANARD_BLESS=1 cargo test generated. Do not edit. -->\n\n\
         # A scenario for every fault\n\n\
         Each runs as it stands, with a demo model, generated traffic and the built-in monitor in one process:\n\
         `canard run scenarios/catalogue/latency.yaml`. What a fault does in detail is in\n\
         [docs/faults.md](../../docs/faults.md).\n",
    );
    for (group, entries) in Fault::groups() {
        let is_here = |(_, plan): &&(String, Plan)| {
            let first = faults(&plan.document).first().copied();
            entries.iter().any(|entry| Some(entry.name) == first)
        };
        let mut here = scenarios.iter().filter(is_here).peekable();
        if here.peek().is_none() {
            continue;
        }
        let _ = write!(
            page,
            "\n## {}\n\n| scenario | faults | expected | hypothesis |\n| --- | --- | --- | --- |\n",
            group.title()
        );
        for (file, plan) in here {
            let links: Vec<String> = faults(&plan.document)
                .iter()
                .map(|name| format!("[{name}](../../docs/faults.md#{name})"))
                .collect();
            let hypothesis = plan.document.hypothesis.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(
                page,
                "| [{file}]({file}.yaml) | {} | {} | {} |",
                links.join(", "),
                expected(&plan.document),
                hypothesis.replace('|', "\\|")
            );
        }
    }
    page
}

/// What the alerts should do while something is injected.
fn expected(document: &Document) -> String {
    let mut said: Vec<String> = Vec::new();
    let broken = document.phases.iter().filter(|phase| !phase.inject.is_empty());
    for expectation in broken.flat_map(|phase| &phase.expect) {
        let text = match expectation {
            Expectation::Fires(fires) => format!("{} fires", fires.alert),
            Expectation::Silent(silent) => format!("{} stays silent", silent.alert),
            Expectation::Clears(clears) => format!("{} clears", clears.alert),
            Expectation::Holds(_) => "a query holds".to_owned(),
        };
        if !said.contains(&text) {
            said.push(text);
        }
    }
    said.join(", ")
}
