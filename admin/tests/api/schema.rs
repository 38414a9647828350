//! As much of JSON Schema as the document uses: enough to hold answers to what it says of them.

use serde_json::Value;

/// What is wrong with a value, by its pointer; empty when it fits.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    look(document, schema, value, "", &mut wrong);
    wrong
}

fn look(document: &Value, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return look(document, target.expect(reference), value, at, wrong);
    }
    if let Some(all) = schema["allOf"].as_array() {
        all.iter()
            .for_each(|part| look(document, part, value, at, wrong));
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(forms) = schema[several].as_array()
            && !forms
                .iter()
                .any(|form| check(document, form, value).is_empty())
        {
            wrong.push(format!("{at}: fits no form of {forms:?}: {value}"));
        }
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    if !kinds.is_empty() && !kinds.iter().any(is) {
        wrong.push(format!("{at}: is no {kinds:?}: {value}"));
        return;
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        wrong.push(format!("{at}: {value} is none of {known:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        if value.is_object() && value.get(name).is_none() {
            wrong.push(format!("{at}/{name}: is missing"));
        }
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, field) in fields {
            if let Some(of) = properties.get(name) {
                look(document, of, field, &format!("{at}/{name}"), wrong);
            }
        }
    }
    if let (Some(false), Some(fields)) =
        (schema["additionalProperties"].as_bool(), value.as_object())
    {
        let known = |name: &str| schema["properties"].get(name).is_some();
        for name in fields.keys().filter(|name| !known(name)) {
            wrong.push(format!("{at}/{name}: is not told of"));
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (n, item) in values.iter().enumerate() {
            look(document, items, item, &format!("{at}/{n}"), wrong);
        }
    }
    if let (Some(number), Some(least)) = (value.as_f64(), schema["minimum"].as_f64())
        && number < least
    {
        wrong.push(format!("{at}: {number} is less than {least}"));
    }
    if let (Some(text), Some("uuid")) = (value.as_str(), schema["format"].as_str())
        && uuid::Uuid::parse_str(text).is_err()
    {
        wrong.push(format!("{at}: {text} is no UUID"));
    }
}

/// The operation of a request, and the route it is of.
pub fn operation<'d>(
    document: &'d Value,
    method: &str,
    path: &str,
) -> Option<(&'d str, &'d Value)> {
    let asked: Vec<&str> = path.split('?').next()?.split('/').collect();
    let fits = |route: &str| {
        let pieces: Vec<&str> = route.split('/').collect();
        pieces.len() == asked.len()
            && pieces
                .iter()
                .zip(&asked)
                .all(|(piece, asked)| piece.starts_with('{') || piece == asked)
    };
    let paths = document["paths"].as_object()?;
    let (route, item) = paths
        .iter()
        .filter(|(route, _)| fits(route))
        // `/leads/enqueue` before `/leads/{id}`.
        .min_by_key(|(route, _)| route.matches('{').count())?;
    Some((route, item.get(method.to_lowercase())?))
}
