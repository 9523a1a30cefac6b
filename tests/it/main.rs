//! The integration tests: one binary, because linking is what costs.
//!
//! `cfg(test)` is always on here; it tells clippy that the helpers are tests too.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod catalogue_index;
#[cfg(test)]
#[cfg(feature = "cli")]
mod campaign;
#[cfg(test)]
#[cfg(feature = "cli")]
mod catalogue;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod readme;
#[cfg(test)]
#[cfg(feature = "cli")]
mod examples;
#[cfg(test)]
#[cfg(feature = "cli")]
mod ledger;
#[cfg(test)]
#[cfg(feature = "cli")]
mod run;
#[cfg(test)]
#[cfg(feature = "cli")]
mod schedule;
#[cfg(test)]
#[cfg(feature = "cli")]
mod sidecar;
#[cfg(test)]
#[cfg(feature = "cli")]
mod cli;
#[cfg(test)]
#[cfg(feature = "cli")]
mod stack;
#[cfg(test)]
#[cfg(feature = "cli")]
mod sweep;
#[cfg(test)]
#[cfg(feature = "cli")]
mod traffic;
