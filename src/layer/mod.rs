//! The tower middleware, and the handle that arms and disarms it.

mod handle;

pub use handle::{ArmError, Handle, LeaseId, LeaseStatus, Limits, Status};
