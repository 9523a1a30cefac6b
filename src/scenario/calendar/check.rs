//! Calendar files: reading and checking them.

use std::path::{Path as FilePath, PathBuf};

use super::{CalendarDocument, TimeOfDay};
use crate::scenario::{
    check::{Checker, Places, path},
    problem::Problem,
    source::{Diagnostic, Diagnostics, Source},
    structure,
    tree::Node,
};

/// Reads and checks a calendar file. The paths in what comes out start from where the file's own path does.
///
/// # Errors
/// Every mistake that can be found, in the order of the text. The files that it names are not opened.
pub fn compile_calendar(source: &Source) -> Result<CalendarDocument, Diagnostics> {
    let mut tree = match Node::parse(source) {
        Ok(tree) => tree,
        Err(mistakes) => return Err(Diagnostics::new(source, mistakes)),
    };
    let mut list = Vec::new();
    let calendar = structure::read::<CalendarDocument>(source, &mut tree, &mut list);
    if let Some(calendar) = &calendar {
        let places = Places::in_source(source, &tree);
        let mut checker = Checker::new(Some(&places));
        check(&mut checker, calendar);
        list.extend(checker.finish().into_iter().filter_map(|problem| problem.place(source, &tree)));
    }
    match calendar {
        Some(mut calendar) if list.is_empty() => {
            let runs = calendar.runs.iter_mut();
            let stages = runs.flat_map(|run| [Some(&mut run.scenario), run.stage.as_mut()]);
            for file in stages.chain([calendar.stage.as_mut()]).flatten() {
                *file = beside(&source.folder, file);
            }
            Ok(calendar)
        }
        _ => Err(Diagnostics::new(source, list)),
    }
}

/// Files that a calendar names and that are not there, each at its place.
pub fn check_files(calendar: &CalendarDocument, source: &Source) -> Vec<Diagnostic> {
    let Ok(tree) = Node::parse(source) else { return Vec::new() };
    let runs = calendar.runs.iter().enumerate().flat_map(|(index, run)| {
        let at = path(["runs"]).then(index);
        [(at.then("scenario"), Some(&run.scenario)), (at.then("stage"), run.stage.as_ref())]
    });
    let files = [(path(["stage"]), calendar.stage.as_ref())].into_iter().chain(runs);
    let missing = files.filter_map(|(at, file)| Some((at, file.filter(|file| !file.exists())?)));
    let problems = missing.map(|(at, file)| {
        let problem = Problem::at(at, format!("there is no file `{}`", file.display()));
        problem.label("not there").help("paths start from the folder of the calendar")
    });
    let mut list: Vec<Diagnostic> = problems.filter_map(|problem| problem.place(source, &tree)).collect();
    list.sort_by_key(|mistake| mistake.span.start);
    list
}

fn beside(folder: &FilePath, file: &FilePath) -> PathBuf {
    if folder == FilePath::new(".") { file.to_owned() } else { folder.join(file) }
}

fn check(checker: &mut Checker<'_>, calendar: &CalendarDocument) {
    for (index, window) in calendar.windows.iter().enumerate() {
        let at = path(["windows"]).then(index);
        if window.from == window.to {
            let problem = Problem::at(at.then("to"), "a window of no length lets nothing run");
            checker.push(problem.help("for the whole day write `from: \"00:00\", to: \"24:00\"`"));
        } else if window.from.minutes() == TimeOfDay::DAY {
            let problem = Problem::at(at.then("from"), "no day has a time after 24:00");
            checker.push(problem.help("write \"00:00\", and the day after in `days`"));
        }
    }
    if calendar.runs.is_empty() && checker.sound(&path(["runs"])) {
        let problem = Problem::at(path(["runs"]), "a calendar without runs has nothing to do");
        checker.push(problem.help("such as `- { scenario: scenario.yaml, cron: \"30 10 * * mon-thu\" }`"));
    }
    let files = calendar.runs.iter().enumerate().flat_map(|(index, run)| {
        let at = path(["runs"]).then(index);
        let stage = run.stage.as_ref().map(|stage| (at.then("stage"), stage));
        [Some((at.then("scenario"), &run.scenario)), stage]
    });
    let stage = calendar.stage.as_ref().map(|stage| (path(["stage"]), stage));
    for (at, file) in files.flatten().chain(stage) {
        if file.as_os_str().is_empty() || file.as_os_str() == "-" {
            checker.push(Problem::at(at, "a file is named here: it is read again and again"));
        }
    }
    for (index, run) in calendar.runs.iter().enumerate() {
        if calendar.runs[..index].contains(run) {
            let problem =
                Problem::at(path(["runs"]).then(index).then("scenario"), "this run is listed twice");
            checker.push(problem.help("keep one of the two"));
        }
    }
}
