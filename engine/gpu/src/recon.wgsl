// Filtered back-projection: one invocation adds what a block of views gives to its pixel. A pixel is seen at the
// detector axis + (c across + r down) / distance, c and r counted from the axis; parallel rays have distance 1.

struct Parameters {
    size: u32,
    columns: u32,
    first: u32,
    last: u32,
    middle: f32,
    spare_a: f32,
    spare_b: f32,
    spare_c: f32,
}

struct View {
    across: f32,
    down: f32,
    axis: f32,
    nearer_across: f32,
    nearer_down: f32,
    spare_a: f32,
    spare_b: f32,
    spare_c: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> views: array<View>;
@group(0) @binding(2) var<storage, read> filtered: array<f32>;
@group(0) @binding(3) var<storage, read_write> image: array<f32>;

fn value_at(row: u32, column: i32) -> f32 {
    if column < 0 || column >= i32(p.columns) {
        return 0.0;
    }
    return filtered[row * p.columns + u32(column)];
}

@compute @workgroup_size(16, 16)
fn back_project(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.size || id.y >= p.size {
        return;
    }
    let c = f32(id.x) - p.middle;
    let r = f32(id.y) - p.middle;
    var sum = 0.0;
    for (var k = p.first; k < p.last; k++) {
        let view = views[k];
        let inverse = 1.0 / (1.0 + c * view.nearer_across + r * view.nearer_down);
        let at = clamp((c * view.across + r * view.down) * inverse + view.axis, -2.0, f32(p.columns) + 1.0);
        let left = floor(at);
        let a = value_at(k, i32(left));
        let b = value_at(k, i32(left) + 1);
        sum += (a + (b - a) * (at - left)) * inverse * inverse;
    }
    image[id.y * p.size + id.x] += sum;
}
