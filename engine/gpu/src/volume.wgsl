// Reformats, slabs and projections: one invocation makes one pixel. Places are 32-bit integers in units of 2^-18
// voxels, so that the corner of eight voxels is found as on the CPU; the way along a line is counted in whole units and
// in parts of one.

struct Parameters {
    // Columns, rows, lines of a row (0: a line for each pixel), mode (0 greatest, 1 least, 2 mean).
    shape: vec4<u32>,
    limit: vec4<i32>,
    jumps: vec4<i32>,
    // Slope, intercept, value outside.
    scale: vec4<f32>,
}

struct Line {
    whole: vec3<i32>,
    first: u32,
    rest: vec3<f32>,
    end: u32,
}

struct Step {
    whole: vec3<i32>,
    spare_a: u32,
    rest: vec3<f32>,
    spare_b: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read> lines: array<Line>;
@group(0) @binding(3) var<storage, read> steps: array<Step>;
@group(0) @binding(4) var<storage, read_write> picture: array<f32>;

const ROW: i32 = 17;
const LAYER: i32 = 289;

fn voxel(at: i32) -> f32 {
    let word = bitcast<i32>(values[u32(at) >> 1u]);
    return f32(extractBits(word, (u32(at) & 1u) * 16u, 16u));
}

fn edge(at: i32, part: f32) -> f32 {
    let a = voxel(at);
    return a + (voxel(at + 1) - a) * part;
}

// Trilinear at a place; places outside are held at the edge.
fn interpolated(place: vec3<i32>) -> f32 {
    let held = clamp(place, vec3<i32>(0), p.limit.xyz);
    let index = held >> vec3<u32>(18u);
    let part = vec3<f32>(held & vec3<i32>(262143)) * (1.0 / 262144.0);
    let jump = (index >> vec3<u32>(4u)) * p.jumps.xyz;
    let at = jump.x + jump.y + jump.z + index.x + index.y * ROW + index.z * LAYER;
    let e0 = edge(at, part.x);
    let e1 = edge(at + ROW, part.x);
    let e2 = edge(at + LAYER, part.x);
    let e3 = edge(at + LAYER + ROW, part.x);
    let near = e0 + (e1 - e0) * part.y;
    let far = e2 + (e3 - e2) * part.y;
    return near + (far - near) * part.z;
}

fn sample_of(line: Line, pace: Step, k: u32) -> f32 {
    let rest = line.rest + f32(k) * pace.rest;
    return interpolated(line.whole + i32(k) * pace.whole + vec3<i32>(floor(rest + 0.5)));
}

fn put_together(best: f32, value: f32) -> f32 {
    if p.shape.w == 0u {
        return max(best, value);
    }
    if p.shape.w == 1u {
        return min(best, value);
    }
    return best + value;
}

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.shape.x || id.y >= p.shape.y {
        return;
    }
    var best = select(select(0.0, 3e38, p.shape.w == 1u), -3e38, p.shape.w == 0u);
    var count = 0u;
    let depths = p.shape.z;
    if depths == 0u {
        let line = lines[id.y * p.shape.x + id.x];
        for (var k = line.first; k < line.end; k++) {
            best = put_together(best, sample_of(line, steps[0], k - line.first));
            count++;
        }
    } else {
        for (var depth = 0u; depth < depths; depth++) {
            let line = lines[id.y * depths + depth];
            if id.x >= line.first && id.x < line.end {
                best = put_together(best, sample_of(line, steps[id.y], id.x - line.first));
                count++;
            }
        }
    }
    var value = p.scale.z;
    if count > 0u {
        if p.shape.w == 2u {
            best /= f32(count);
        }
        value = best * p.scale.x + p.scale.y;
    }
    picture[id.y * p.shape.x + id.x] = value;
}

// Composite ray casting: opacity and colour from a table, surfaces lit from the viewer.

struct Scene {
    // Columns of the matrix from slopes along the voxels' axes to slopes in the patient.
    along_x: vec4<f32>,
    along_y: vec4<f32>,
    along_z: vec4<f32>,
    // Direction of sight, and the slope of a surface.
    sight: vec4<f32>,
    // Light from everywhere, by angle, highlights; hidden part at which a ray ends.
    light: vec4<f32>,
    // Stored value of the first entry, entries for each value, last entry, exponent of the highlights.
    look: vec4<f32>,
}

@group(0) @binding(5) var<uniform> scene: Scene;
@group(0) @binding(6) var<storage, read> looks: array<vec4<f32>>;

const ONE: i32 = 262144;

// Slope along an axis of the voxels, from one voxel before to one after.
fn slope(place: vec3<i32>, axis: vec3<i32>) -> f32 {
    return (interpolated(place + axis) - interpolated(place - axis)) * 0.5;
}

// Brightness and highlight of the surface at a place.
fn lit(place: vec3<i32>) -> vec2<f32> {
    let gradient = slope(place, vec3<i32>(ONE, 0, 0)) * scene.along_x.xyz
        + slope(place, vec3<i32>(0, ONE, 0)) * scene.along_y.xyz
        + slope(place, vec3<i32>(0, 0, ONE)) * scene.along_z.xyz;
    let steep = length(gradient);
    var facing = 1.0;
    if steep > 0.0 {
        facing = abs(dot(gradient, scene.sight.xyz)) / steep;
    }
    let surface = min(steep / scene.sight.w, 1.0);
    let diffuse = 1.0 + (facing - 1.0) * surface;
    var highlight = scene.light.z * surface;
    for (var i = 0; i < i32(scene.look.w); i++) {
        highlight *= facing;
    }
    return vec2<f32>(scene.light.x + scene.light.y * diffuse, highlight);
}

@compute @workgroup_size(16, 16)
fn composite(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.shape.x || id.y >= p.shape.y {
        return;
    }
    let pixel = id.y * p.shape.x + id.x;
    let line = lines[pixel];
    let pace = steps[0];
    var colour = vec3<f32>(0.0);
    var through = 1.0;
    for (var k = line.first; k < line.end; k++) {
        let rest = line.rest + f32(k - line.first) * pace.rest;
        let place = line.whole + i32(k - line.first) * pace.whole + vec3<i32>(floor(rest + 0.5));
        let entry = clamp((interpolated(place) - scene.look.x) * scene.look.y + 0.5, 0.0, scene.look.z);
        let look = looks[u32(entry)];
        if look.x > 0.0 {
            let light = lit(place);
            colour += through * look.x * min(look.yzw * light.x + light.y, vec3<f32>(1.0));
            through *= 1.0 - look.x;
            if through < 1.0 - scene.light.w {
                break;
            }
        }
    }
    picture[pixel * 3u] = colour.x;
    picture[pixel * 3u + 1u] = colour.y;
    picture[pixel * 3u + 2u] = colour.z;
}
