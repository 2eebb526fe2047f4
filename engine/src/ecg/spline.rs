//! The natural cubic spline, for levels between beats and for beat intervals made even in time.

/// Second derivatives at the knots, places and values, in rising order of places (tridiagonal system, Thomas algorithm).
pub(super) fn second_derivatives(knots: &[(f64, f64)]) -> Vec<f64> {
    let n = knots.len();
    let (mut bends, mut upper) = (vec![0.0; n], vec![0.0; n]);
    for i in 1..n.saturating_sub(1) {
        let [before, here, after] = [knots[i - 1], knots[i], knots[i + 1]];
        let (h0, h1) = (here.0 - before.0, after.0 - here.0);
        let slope = (after.1 - here.1) / h1 - (here.1 - before.1) / h0;
        let diagonal = 2.0 * (h0 + h1) - h0 * upper[i - 1];
        upper[i] = h1 / diagonal;
        bends[i] = (6.0 * slope - h0 * bends[i - 1]) / diagonal;
    }
    for i in (1..n.saturating_sub(1)).rev() {
        bends[i] -= upper[i] * bends[i + 1];
    }
    bends
}
