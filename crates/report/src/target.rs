//! A target as text: every number with its source and confidence.

use serde_json::Value;
use spikec_chip::Target;

/// The description, one number a line.
pub fn text(target: &Target) -> String {
    let mut out = format!("{}: {}\n", target.name, target.description);
    let value = serde_json::to_value(target).expect("targets hold only strings as keys");
    let mut rows = Vec::new();
    walk("", &value, &mut rows);
    let width = rows.iter().map(|r| r.0.len()).max().unwrap_or(0);
    for (name, value, confidence, source) in rows {
        out.push_str(&format!("  {name:<width$}  {value}  [{confidence}: {source}]\n"));
    }
    out
}

fn walk(path: &str, value: &Value, rows: &mut Vec<(String, String, String, String)>) {
    let Value::Object(map) = value else { return };
    if let (Some(v), Some(Value::String(source)), Some(Value::String(confidence))) =
        (map.get("value"), map.get("source"), map.get("confidence"))
    {
        let v = match v {
            Value::String(s) => s.clone(),
            other => other.to_string(),
        };
        rows.push((path.to_string(), v, confidence.clone(), source.clone()));
        return;
    }
    for (key, inner) in map {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        walk(&name, inner, rows);
    }
}
