// Stored 16-bit values, two in a word, to four display values in a word: modality rescale, then the VOI window of
// PS3.3 C.11.2.1.2. One invocation makes one output word.

struct Parameters {
    slope: f32,
    intercept: f32,
    low: f32,
    high: f32,
    // display = clamp(value * gain + offset) inside (low, high]
    gain: f32,
    offset: f32,
    values: u32,
    signed_values: u32,
    sigmoid: u32,
    invert: u32,
    row_words: u32,
    spare: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> stored: array<u32>;
@group(0) @binding(2) var<storage, read_write> display: array<u32>;

fn value_at(index: u32) -> f32 {
    let word = stored[index >> 1u];
    let half = (word >> ((index & 1u) * 16u)) & 0xFFFFu;
    if p.signed_values == 1u && half >= 0x8000u {
        return f32(i32(half) - 65536);
    }
    return f32(half);
}

fn display_of(index: u32) -> u32 {
    if index >= p.values {
        return 0u;
    }
    let x = value_at(index) * p.slope + p.intercept;
    var y = 0.0;
    if p.sigmoid == 1u {
        y = 255.0 / (1.0 + exp(x * p.gain + p.offset));
    } else if x > p.high {
        y = 255.0;
    } else if x > p.low {
        y = x * p.gain + p.offset;
    }
    let level = u32(clamp(floor(y + 0.5), 0.0, 255.0));
    return select(level, 255u - level, p.invert == 1u);
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let word = id.x + id.y * p.row_words;
    let first = word * 4u;
    if first >= p.values {
        return;
    }
    display[word] = display_of(first) | (display_of(first + 1u) << 8u) | (display_of(first + 2u) << 16u)
        | (display_of(first + 3u) << 24u);
}
