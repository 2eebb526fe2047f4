//! Vectors of the patient's space and of index space.

/// Three components; in the patient's space millimetres along left, posterior, head (LPS).
pub type Vec3 = [f64; 3];

/// Determinants below this fraction of the product of the lengths mean that directions lie in one plane.
const FLAT: f64 = 1e-6;

pub(crate) fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

pub(crate) fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: Vec3, s: f64) -> Vec3 {
    [a[0] * s, a[1] * s, a[2] * s]
}

/// `a + b * s`.
pub(crate) fn along(a: Vec3, b: Vec3, s: f64) -> Vec3 {
    [a[0] + b[0] * s, a[1] + b[1] * s, a[2] + b[2] * s]
}

pub(crate) fn length(a: Vec3) -> f64 {
    dot(a, a).sqrt()
}

/// Length 1; `None` for a vector without direction or with a component that is no number.
pub(crate) fn unit(a: Vec3) -> Option<Vec3> {
    let l = length(a);
    (l.is_finite() && l > 1e-9).then(|| scale(a, 1.0 / l))
}

/// A matrix by its columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mat3(pub(crate) [Vec3; 3]);

impl Mat3 {
    pub(crate) fn times(&self, v: Vec3) -> Vec3 {
        add(
            add(scale(self.0[0], v[0]), scale(self.0[1], v[1])),
            scale(self.0[2], v[2]),
        )
    }

    /// The transposed matrix times `v`.
    pub(crate) fn transposed_times(&self, v: Vec3) -> Vec3 {
        [dot(self.0[0], v), dot(self.0[1], v), dot(self.0[2], v)]
    }

    /// `None` when the columns lie in one plane.
    pub(crate) fn inverse(&self) -> Option<Self> {
        let [a, b, c] = self.0;
        let rows = [cross(b, c), cross(c, a), cross(a, b)];
        let det = dot(a, rows[0]);
        let size = length(a) * length(b) * length(c);
        if !det.is_finite() || det.abs() <= size * FLAT || size == 0.0 {
            return None;
        }
        let [r0, r1, r2] = rows.map(|r| scale(r, 1.0 / det));
        Some(Self([
            [r0[0], r1[0], r2[0]],
            [r0[1], r1[1], r2[1]],
            [r0[2], r1[2], r2[2]],
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_a_sheared_matrix() {
        let m = Mat3([[0.7, 0.1, 0.0], [0.0, 0.65, 0.2], [0.3, -0.2, 1.5]]);
        let inverse = m.inverse().unwrap();
        for v in [[1.0, 0.0, 0.0], [3.0, -2.0, 7.5], [0.1, 0.2, -0.3]] {
            let back = inverse.times(m.times(v));
            assert!(length(sub(back, v)) < 1e-12, "{back:?}");
        }
        assert!(
            Mat3([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
                .inverse()
                .is_none()
        );
        assert!(unit([0.0, 0.0, 0.0]).is_none());
        assert!(unit([f64::NAN, 0.0, 1.0]).is_none());
    }
}
