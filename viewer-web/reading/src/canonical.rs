//! One way to write a JSON value, so that a digest and a signature mean the same text for ever.
//!
//! The rules are those of RFC 8785 (JSON Canonicalization Scheme): no white space, members sorted by the UTF-16 code
//! units of their names, shortest string escapes, numbers as ECMAScript writes them. Numbers outside of what both
//! agree on are refused instead of being written differently.

use serde_json::Value;

use crate::error::{ReadingError, Result};

/// Deepest nesting accepted.
pub const DEPTH_MAX: usize = 32;
/// Integers beyond this are not exact in every reader (RFC 8785 section 3.2.2.3).
const INTEGER_MAX: i64 = 1 << 53;

/// Writes `value` in its canonical form, UTF-8.
///
/// # Errors
/// `Invalid` for nesting over [`DEPTH_MAX`] and for numbers without one canonical form.
pub fn to_bytes(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write(value, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(ReadingError::invalid(
            "structured",
            "嵌套过深",
            "nested too deeply",
        ));
    }
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) => out.extend(number_text(number)?.as_bytes()),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, depth + 1, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            out.push(b'{');
            for (i, (name, item)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                write(item, depth + 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn number_text(number: &serde_json::Number) -> Result<String> {
    let refused = || {
        ReadingError::invalid(
            "structured",
            "数值超出可签名的范围",
            "a number is out of the range that can be signed",
        )
    };
    if let Some(integer) = number.as_i64() {
        return if integer.abs() <= INTEGER_MAX {
            Ok(integer.to_string())
        } else {
            Err(refused())
        };
    }
    let float = number.as_f64().filter(|f| f.is_finite()).ok_or_else(refused)?;
    let size = float.abs();
    if float == 0.0 {
        Ok("0".to_owned())
    } else if (1e-6..1e15).contains(&size) {
        // In this range Rust's shortest decimal form and ECMAScript's are the same text.
        Ok(format!("{float}"))
    } else {
        Err(refused())
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend(b"\\\""),
            '\\' => out.extend(b"\\\\"),
            '\u{8}' => out.extend(b"\\b"),
            '\u{c}' => out.extend(b"\\f"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            c if c < ' ' => out.extend(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(value: Value, expect: &str) {
        assert_eq!(String::from_utf8(to_bytes(&value).unwrap()).unwrap(), expect);
    }

    #[test]
    fn values_have_one_form() {
        check(
            json!({"b": 1, "a": [true, null, "x"]}),
            r#"{"a":[true,null,"x"],"b":1}"#,
        );
        check(json!("双肺\n\"清\"\u{1}"), "\"双肺\\n\\\"清\\\"\\u0001\"");
        check(
            json!({"€": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "😀": 5, "\u{80}": 6, "ö": 7}),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}",
        );
        check(json!(-0.0), "0");
        check(json!(12.5), "12.5");
        check(json!(100.0), "100");
        check(json!(0.000001), "0.000001");
    }

    #[test]
    fn what_has_no_single_form_is_refused() {
        for bad in [json!(1e300), json!(1e-9), json!(i64::MAX), json!(u64::MAX)] {
            assert!(to_bytes(&bad).is_err(), "{bad}");
        }
        let mut deep = json!(1);
        for _ in 0..=DEPTH_MAX {
            deep = json!([deep]);
        }
        assert!(to_bytes(&deep).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (-1e6..1e6f64)
                .prop_filter("not tiny", |f| f.abs() > 1e-5)
                .prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|m| Value::Object(m.into_iter().collect()))
            ]
        })
    }

    proptest! {
        /// Reading it back and writing it again gives the same bytes.
        #[test]
        fn writing_is_stable(value in any_json()) {
            let once = to_bytes(&value).unwrap();
            let again: Value = serde_json::from_slice(&once).unwrap();
            prop_assert_eq!(&to_bytes(&again).unwrap(), &once);
        }
    }
}
