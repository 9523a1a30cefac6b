//! What people call it when a fault happens to them: the words of tickets and post-mortems, for `canard faults --find`.
//!
//! A page speaks of effects and settings; somebody who was on call remembers "the tokenizer was from another
//! version". Kept apart from the pages, so that a phrase can be added without a thought for how a fault works.

/// A line for each fault: its name, and the incidents that it stands for.
const INCIDENTS: &str = include_str!("incidents.txt");

/// The incidents that a fault stands for.
pub(super) fn of(fault: &str) -> Vec<&'static str> {
    lines()
        .find(|(name, _)| *name == fault)
        .map_or_else(Vec::new, |(_, incidents)| incidents.split("; ").collect())
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    INCIDENTS.lines().filter_map(|line| line.split_once(": "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn every_fault_has_its_incidents_and_nothing_else_has() {
        let names: Vec<&str> = Fault::catalogue().iter().map(|entry| entry.name).collect();
        for name in &names {
            assert!(!of(name).is_empty(), "say in src/cli/incidents.txt what people call `{name}`");
        }
        let listed: Vec<&str> = lines().map(|(name, _)| name).collect();
        assert_eq!(listed, names, "in the order of the catalogue");
    }
}
