//! Percentiles by nearest rank: always a value that was seen, never one between two. Pure.

/// The smallest value that is no smaller than this share of all: 0.95 is the 95th percentile. None: there are no values.
/// `sorted` is in ascending order.
pub fn percentile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    // A share such as 0.95 is a little more than it says, as a double; a rank must not be one too high for that.
    let rank = (share * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn the_rank_is_the_nearest_one_above() {
        let numbers: Vec<u32> = (1..=20).collect();
        for (share, expected) in [(0.0, 1), (0.05, 1), (0.051, 2), (0.5, 10), (0.95, 19), (0.951, 20), (1.0, 20)] {
            assert_eq!(percentile(&numbers, share), Some(expected), "{share}");
        }
        for count in [20, 40, 100, 1000] {
            let numbers: Vec<u32> = (1..=count).collect();
            assert_eq!(percentile(&numbers, 0.95), Some(count / 20 * 19), "{count}");
        }
    }

    #[test]
    fn few_values_are_enough_and_none_are_none() {
        assert_eq!(percentile::<u32>(&[], 0.5), None);
        assert_eq!([0.0, 0.5, 0.95, 1.0, 2.0].map(|share| percentile(&[7], share)), [Some(7); 5]);
        assert_eq!(percentile(&[1, 2], 0.5), Some(1));
        assert_eq!(percentile(&[1, 2], 0.95), Some(2));
    }
}
