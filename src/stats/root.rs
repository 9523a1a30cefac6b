//! Where a monotone function crosses a value: bisection, which needs no derivative and can't run away.

/// The boundary in `low..=high` between the numbers that are `before` it and those that are not, to the last
/// bits of a double. `before` has to be true from `low` up to the boundary and false from there on.
pub(super) fn boundary(low: f64, high: f64, before: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low + (high - low) / 2.0
}

/// The first power of two times `from` that is no more `before` the boundary; `None` past 2¹⁰⁰.
pub(super) fn beyond(from: f64, before: impl Fn(f64) -> bool) -> Option<f64> {
    (0..=100).map(|power| from * 2_f64.powi(power)).find(|x| !before(*x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_found_to_the_last_bits() {
        let two = boundary(0.0, 10.0, |x| x * x < 2.0);
        assert!((two - 2_f64.sqrt()).abs() < 1e-15, "{two}");
        assert_eq!(boundary(1.0, 1.0, |_| true), 1.0);
        assert_eq!(beyond(1.0, |x| x < 100.0), Some(128.0));
        assert_eq!(beyond(1.0, |_| true), None);
    }
}
