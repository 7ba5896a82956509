//! Percentiles, and counts as the numbers that figures are.

/// The value that `share` (0 to 1) of the values do not exceed; NaN of none.
pub(super) fn percentile(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    let last = number(values.len() - 1);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the number of values"
    )]
    let at = (last * share).ceil() as usize;
    values[at.min(values.len() - 1)]
}

/// A number of things, of which there are never 2^52.
#[allow(clippy::cast_precision_loss, reason = "no trial has 2^52 of anything")]
pub(super) fn number(of: usize) -> f64 {
    of as f64
}

/// The same for what the database counts.
#[allow(clippy::cast_precision_loss, reason = "no trial has 2^52 of anything")]
pub(super) fn whole(of: i64) -> f64 {
    of as f64
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values = vec![3.0, 1.0, 2.0, 5.0, 4.0];
        for (share, value) in [(0.0, 1.0), (0.5, 3.0), (0.99, 5.0), (1.0, 5.0)] {
            assert!((percentile(&mut values, share) - value).abs() < f64::EPSILON);
        }
        assert!(percentile(&mut [], 0.5).is_nan());
    }
}
