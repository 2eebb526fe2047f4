//! Small constructors for the JSON Schemas that `openapi.json` shows.

use serde_json::{Map, Value, json};

/// A JSON Schema (2020-12, as OpenAPI 3.1 uses it).
#[derive(Clone, Debug)]
pub struct Shape {
    schema: Value,
    optional: bool,
}

impl Shape {
    fn of(schema: Value) -> Self {
        Self {
            schema,
            optional: false,
        }
    }

    /// The member may be absent or null.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Says what the value means.
    #[must_use]
    pub fn about(mut self, text: &str) -> Self {
        self.set("description", json!(text));
        self
    }

    fn set(&mut self, key: &str, value: Value) {
        if let Value::Object(members) = &mut self.schema {
            members.insert(key.to_owned(), value);
        }
    }

    /// The schema itself.
    pub fn to_value(&self) -> Value {
        self.schema.clone()
    }

    fn is_optional(&self) -> bool {
        self.optional
    }
}

/// Any text.
pub fn text() -> Shape {
    Shape::of(json!({"type": "string"}))
}

/// A time, ISO 8601 in UTC.
pub fn time() -> Shape {
    Shape::of(json!({"type": "string", "format": "date-time"}))
}

/// A calendar date.
pub fn date() -> Shape {
    Shape::of(json!({"type": "string", "format": "date"}))
}

/// A DICOM UID.
pub fn uid() -> Shape {
    Shape::of(json!({"type": "string", "pattern": "^[0-9.]{1,64}$"}))
}

/// One of the given words.
pub fn one_of(words: &[&str]) -> Shape {
    Shape::of(json!({"type": "string", "enum": words}))
}

/// A whole number.
pub fn integer() -> Shape {
    Shape::of(json!({"type": "integer"}))
}

/// A number.
pub fn number() -> Shape {
    Shape::of(json!({"type": "number"}))
}

/// True or false.
pub fn boolean() -> Shape {
    Shape::of(json!({"type": "boolean"}))
}

/// Anything: a structure that its own standard describes.
pub fn any() -> Shape {
    Shape::of(json!({}))
}

/// Bytes of some other media type.
pub fn binary() -> Shape {
    Shape::of(json!({"type": "string", "format": "binary"}))
}

/// A list.
pub fn list(of: Shape) -> Shape {
    Shape::of(json!({"type": "array", "items": of.schema}))
}

/// A map from any text to one shape.
pub fn map(of: Shape) -> Shape {
    Shape::of(json!({"type": "object", "additionalProperties": of.schema}))
}

/// An object with the given members; those not marked optional are required.
pub fn object<const N: usize>(members: [(&str, Shape); N]) -> Shape {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, shape) in members {
        if shape.is_optional() {
            properties.insert(
                name.to_owned(),
                json!({"anyOf": [shape.schema, {"type": "null"}]}),
            );
        } else {
            required.push(name.to_owned());
            properties.insert(name.to_owned(), shape.schema);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    Shape::of(schema)
}

/// One page of a list: `items` and, where more follows, `next_cursor`.
pub fn page(of: Shape) -> Shape {
    object([("items", list(of)), ("next_cursor", text().optional())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_members_are_those_not_marked_optional() {
        let shape = object([("user", text()), ("note", text().optional())]).to_value();
        assert_eq!(shape["required"], json!(["user"]));
        assert_eq!(shape["properties"]["note"]["anyOf"][1]["type"], "null");
    }

    #[test]
    fn a_page_has_items_and_a_cursor() {
        let shape = page(integer().about("a count")).to_value();
        assert_eq!(shape["properties"]["items"]["items"]["description"], "a count");
        assert_eq!(shape["required"], json!(["items"]));
    }
}
