//! Tenants of very different sizes.

/// The number `n` has 1/n as many names as the first.
pub(crate) struct Tenants(Vec<f64>);

impl Tenants {
    pub(crate) const COUNT: u16 = 100;

    pub(crate) fn new() -> Self {
        let sizes: Vec<f64> = (1..=Self::COUNT).map(|number| 1.0 / f64::from(number)).collect();
        let total: f64 = sizes.iter().sum();
        let mut reached = 0.0;
        let up_to = sizes.into_iter().map(|size| {
            reached += size / total;
            reached
        });
        Self(up_to.collect())
    }

    /// The tenant at `fraction` in `0.0..1.0` of all names.
    pub(crate) fn pick(&self, fraction: f64) -> u16 {
        self.0.partition_point(|up_to| *up_to <= fraction).min(self.0.len() - 1) as u16
    }
}
