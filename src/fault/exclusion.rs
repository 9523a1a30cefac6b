//! Which infrastructure faults contradict each other in one phase.
//!
//! A request fails once and ends once. Two faults that both end it can share the requests, by their rates, but
//! when one of them takes every request the other never acts, and the scenario does not mean what it says.

use super::Fault;
use crate::unit::Share;

/// Does it answer, or break, in the upstream's place?
const fn ends_the_request(fault: &Fault) -> bool {
    matches!(fault, Fault::Error(_) | Fault::Hang(_) | Fault::Refuse(_) | Fault::BlackHole(_))
}

/// For a fault that answers, or breaks, in the upstream's place.
pub(super) fn one_takes_all(own: Share, other: &Fault) -> Option<&'static str> {
    let all = own == Share::ALL || other.rate() == Share::ALL;
    (ends_the_request(other) && all)
        .then_some("a request fails once, and one of them takes every request, so the other would never act")
}

/// For a fault that ends the body of a response early.
pub(super) fn one_ends_all(own: Share, other: &Fault) -> Option<&'static str> {
    let ends = matches!(other, Fault::Reset(_) | Fault::Truncate(_));
    let all = own == Share::ALL || other.rate() == Share::ALL;
    (ends && all)
        .then_some("a response ends once, and one of them ends every response, so the other would never act")
}
