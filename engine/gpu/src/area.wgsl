// Area average of stored 16-bit values, two in a word: one invocation makes one value of the small picture from the
// source lines under it; the first and the last weigh by the part that is covered.

struct Parameters {
    columns: u32,
    to_columns: u32,
    to_rows: u32,
    signed_values: u32,
}

struct Span {
    first: u32,
    last: u32,
    head: f32,
    tail: f32,
    norm: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> stored: array<u32>;
// Rows of the small picture, then its columns.
@group(0) @binding(2) var<storage, read> spans: array<Span>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;

fn value_at(index: u32) -> f32 {
    let shift = (index & 1u) * 16u;
    let word = stored[index >> 1u];
    if p.signed_values == 1u {
        return f32(extractBits(bitcast<i32>(word), shift, 16u));
    }
    return f32(extractBits(word, shift, 16u));
}

fn weight(span: Span, line: u32) -> f32 {
    if line == span.first {
        return span.head;
    }
    return select(1.0, span.tail, line == span.last);
}

@compute @workgroup_size(16, 16)
fn average(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.to_columns || id.y >= p.to_rows {
        return;
    }
    let down = spans[id.y];
    let across = spans[p.to_rows + id.x];
    var sum = 0.0;
    for (var row = down.first; row <= down.last; row++) {
        var line = 0.0;
        for (var column = across.first; column <= across.last; column++) {
            line += value_at(row * p.columns + column) * weight(across, column);
        }
        sum += line * weight(down, row);
    }
    mean[id.y * p.to_columns + id.x] = sum * down.norm * across.norm;
}
