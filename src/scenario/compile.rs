//! From text to a plan, with every mistake at once.

use std::path::Path as FilePath;

use super::{
    check,
    document::Document,
    exposure_check,
    plan::Plan,
    problem::Problem,
    source::{Diagnostic, Diagnostics, Source},
    stage::StageDocument,
    structure,
    tree::Node,
};

/// Reads, checks and compiles a scenario file.
///
/// ```
/// use canard::scenario::{Source, compile};
/// let text = "
/// name: slow
/// target: { protocol: http }
/// phases:
///   - name: steady
///     lastss: 30s
/// ";
/// let wrong = compile(&Source::new("slow.yaml", text)).unwrap_err();
/// assert_eq!((wrong.list[0].line, wrong.list[0].column), (6, 5));
/// assert_eq!(wrong.list[0].label, "did you mean `lasts`?");
/// ```
///
/// # Errors
/// Every mistake that can be found, in the order of the text.
pub fn compile(source: &Source) -> Result<Plan, Diagnostics> {
    compile_for(source, &StageDocument::default())
}

/// Reads, checks and compiles a scenario file for a stage: the segments that the scenario names and the stage
/// defines are written into the plan's document, and so is the stage's hold-out. Whether the rest fits the
/// stage is told by [`check_against_stage`](super::check_against_stage).
///
/// # Errors
/// As [`compile`].
pub fn compile_for(source: &Source, stage: &StageDocument) -> Result<Plan, Diagnostics> {
    let mut tree = match Node::parse(source) {
        Ok(tree) => tree,
        Err(mistakes) => return Err(Diagnostics::new(source, mistakes)),
    };
    let mut list = Vec::new();
    let Some(mut document) = structure::read::<Document>(source, &mut tree, &mut list) else {
        return Err(Diagnostics::new(source, list));
    };
    list.extend(embed(source, &tree, &mut document));
    let places = check::Places::in_source(source, &tree);
    let unbound = exposure_check::bind(&mut document, stage);
    let (plan, mut problems) = check::build(document, Some(&places));
    problems.extend(unbound);
    let told = |problem: &Problem| !problem.repeats(&tree);
    list.extend(problems.into_iter().filter(told).filter_map(|problem| problem.place(source, &tree)));
    match plan {
        Some(mut plan) if list.is_empty() => {
            if let Some((_, requests)) = &mut plan.traffic {
                *requests = absolute(&source.folder, requests);
            }
            Ok(plan)
        }
        _ => Err(Diagnostics::new(source, list)),
    }
}

/// Reads the files that faults name into the document, which may travel to where they are not.
fn embed(source: &Source, tree: &Node, document: &mut Document) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for (phase, injections) in document.phases.iter_mut().map(|phase| &mut phase.inject).enumerate() {
        for (index, injection) in injections.iter_mut().enumerate() {
            let Err(problem) = injection.fault.embed(&source.folder) else { continue };
            let place = check::path(["phases"]).then(phase).then("inject").then(index).then("fault");
            let settings = place.then(injection.fault.name());
            let place = problem.key.split('.').fold(settings, |path, step| path.then(step));
            let problem = Problem::at(place, problem.message).maybe_help(problem.help);
            mistakes.extend(problem.place(source, tree));
        }
    }
    mistakes
}

fn absolute(folder: &FilePath, path: &FilePath) -> std::path::PathBuf {
    let joined = folder.join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

/// Checks and compiles a document that came over the wire.
///
/// # Errors
/// Every mistake that can be found; each names its path, such as `phases[1].lasts`, for there is no text to
/// point at.
pub fn compile_document(document: Document) -> Result<Plan, Vec<String>> {
    let (plan, problems) = check::build(document, None);
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(problems.into_iter().map(super::problem::Problem::in_words).collect()),
    }
}
