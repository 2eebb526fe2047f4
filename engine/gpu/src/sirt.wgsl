// One step of SIRT on parallel rays (Joseph's projector and its transpose). Ray k of a view meets image row r at pixel
// middle + (k - axis) step + (r - middle) shift; in a turned view rows and columns change places.

struct Parameters {
    size: u32,
    columns: u32,
    // The subset's views, and where its weights of pixels begin.
    first: u32,
    count: u32,
    pixels: u32,
    non_negative: u32,
    middle: f32,
    axis: f32,
}

struct View {
    step: f32,
    shift: f32,
    weight: f32,
    turned: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> views: array<View>;
@group(0) @binding(2) var<storage, read> measured: array<f32>;
@group(0) @binding(3) var<storage, read> ray_inverse: array<f32>;
@group(0) @binding(4) var<storage, read> pixel_inverse: array<f32>;
@group(0) @binding(5) var<storage, read_write> difference: array<f32>;
@group(0) @binding(6) var<storage, read_write> image: array<f32>;

fn pixel(turned: u32, row: u32, column: i32) -> f32 {
    if column < 0 || column >= i32(p.size) {
        return 0.0;
    }
    if turned == 1u {
        return image[u32(column) * p.size + row];
    }
    return image[row * p.size + u32(column)];
}

// (measured - projected) over the ray's sum, times the ray's weight in the transpose.
@compute @workgroup_size(64)
fn project(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.columns || id.y >= p.count {
        return;
    }
    let view = views[p.first + id.y];
    let start = p.middle + (f32(id.x) - p.axis) * view.step;
    var sum = 0.0;
    for (var row = 0u; row < p.size; row++) {
        let at = clamp(start + (f32(row) - p.middle) * view.shift, -2.0, f32(p.size) + 1.0);
        let left = floor(at);
        let a = pixel(view.turned, row, i32(left));
        let b = pixel(view.turned, row, i32(left) + 1);
        sum += a + (b - a) * (at - left);
    }
    let ray = (p.first + id.y) * p.columns + id.x;
    difference[ray] = (measured[ray] - sum * view.weight) * ray_inverse[ray] * view.weight;
}

// Every pixel takes from each ray what that ray took from it.
@compute @workgroup_size(16, 16)
fn gather(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.size || id.y >= p.size {
        return;
    }
    var sum = 0.0;
    for (var k = p.first; k < p.first + p.count; k++) {
        let view = views[k];
        let place = select(vec2<u32>(id.x, id.y), vec2<u32>(id.y, id.x), view.turned == 1u);
        let away = f32(place.x) - p.middle - (f32(place.y) - p.middle) * view.shift;
        let at = away / view.step + p.axis;
        let slope = abs(view.step);
        let left = i32(floor(at));
        let reach = max(1, i32(ceil(1.0 / slope)));
        let first = max(0, left + 1 - reach);
        let last = min(i32(p.columns) - 1, left + reach);
        for (var ray = first; ray <= last; ray++) {
            let weight = max(0.0, 1.0 - abs(at - f32(ray)) * slope);
            sum += difference[k * p.columns + u32(ray)] * weight;
        }
    }
    let index = id.y * p.size + id.x;
    var value = image[index] + sum * pixel_inverse[p.pixels + index];
    if p.non_negative == 1u {
        value = max(value, 0.0);
    }
    image[index] = value;
}
