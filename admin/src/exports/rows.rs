//! Rows of a list, as its answer has them, as the cells of a file.

use super::columns::{Holds, List};
use crate::sheet::Cell;
use crate::tongue::Tongue;
use chrono::DateTime;
use model::Zone;
use serde_json::{Map, Value};

pub struct Rows {
    list: &'static List,
    zone: Zone,
    tongue: Tongue,
    /// The enterprise's own columns, as the first page has them; what later rows have more stands together in one.
    own: Vec<String>,
}

impl Rows {
    pub fn new(list: &'static List, zone: Zone, tongue: Tongue, first: &[Value]) -> Rows {
        let mut own: Vec<String> = Vec::new();
        let spread = list
            .columns
            .iter()
            .find(|column| column.holds == Holds::Spread);
        if let Some(column) = spread {
            for row in first {
                for (title, _) in pairs(row.pointer(column.at)) {
                    if !own.contains(&title) {
                        own.push(title);
                    }
                }
            }
        }
        Rows {
            list,
            zone,
            tongue,
            own,
        }
    }

    pub fn heading(&self) -> Vec<String> {
        let mut heading = Vec::new();
        for column in self.list.columns {
            if column.holds == Holds::Spread {
                heading.extend(self.own.iter().cloned());
            }
            heading.push(column.title(self.tongue).to_owned());
        }
        heading
    }

    pub fn cells(&mut self, row: &Value) -> Vec<Cell> {
        let mut cells = Vec::new();
        for column in self.list.columns {
            let value = row.pointer(column.at);
            match column.holds {
                Holds::Plain => cells.push(plain(value)),
                Holds::Moment => cells.push(moment(value, self.zone)),
                Holds::Spread => {
                    let mut values: Map<String, Value> = pairs(value).collect();
                    for title in &self.own {
                        cells.push(plain(values.remove(title).as_ref()));
                    }
                    let rest: Vec<String> = values
                        .iter()
                        .filter(|(_, value)| !value.is_null() && *value != "")
                        .map(|(title, value)| format!("{title}: {}", words(value)))
                        .collect();
                    cells.push(if rest.is_empty() {
                        Cell::Empty
                    } else {
                        Cell::text(rest.join("; "))
                    });
                }
            }
        }
        cells
    }
}

/// Titles and values: of an object, or of a list of `heading` and `text`.
fn pairs(value: Option<&Value>) -> Box<dyn Iterator<Item = (String, Value)> + '_> {
    match value {
        Some(Value::Object(map)) => Box::new(
            map.iter()
                .map(|(title, value)| (title.clone(), value.clone())),
        ),
        Some(Value::Array(cells)) => Box::new(cells.iter().map(|cell| {
            let title = cell["heading"].as_str().unwrap_or_default();
            (title.to_owned(), cell["text"].clone())
        })),
        _ => Box::new(std::iter::empty()),
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn plain(value: Option<&Value>) -> Cell {
    match value {
        None | Some(Value::Null) => Cell::Empty,
        Some(Value::Number(n)) => n.as_f64().map_or(Cell::Empty, Cell::Number),
        Some(value) => match words(value) {
            text if text.is_empty() => Cell::Empty,
            text => Cell::Text(text),
        },
    }
}

fn moment(value: Option<&Value>, zone: Zone) -> Cell {
    let text = value.and_then(Value::as_str);
    match text.map(DateTime::parse_from_rfc3339) {
        Some(Ok(at)) => Cell::Moment(at.with_timezone(&zone).naive_local()),
        _ => plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::LISTS;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lead_has_its_own_columns_and_its_enterprises_clock() {
        let list = LISTS.iter().find(|list| list.path == "/leads").unwrap();
        let row = json!({
            "name": "王一", "number": "+8613800138000", "batch": "b", "custom": {"城市": "上海", "金额": 5},
            "state": "listed", "attempts": 2, "created_at": "2026-11-21T02:50:00.000Z",
        });
        let mut rows = Rows::new(
            list,
            chrono_tz::Asia::Shanghai,
            Tongue::Simplified,
            std::slice::from_ref(&row),
        );
        let heading = rows.heading();
        assert_eq!(
            heading[..6],
            ["姓名", "电话", "批次", "城市", "金额", "其他列"]
        );
        let cells = rows.cells(&row);
        assert_eq!(cells.len(), heading.len());
        assert_eq!(
            cells[3..6],
            [Cell::text("上海"), Cell::Number(5.0), Cell::Empty]
        );
        let at = heading
            .iter()
            .position(|title| title == "创建时间")
            .unwrap();
        let Cell::Moment(when) = &cells[at] else {
            panic!("{:?}", cells[at])
        };
        assert_eq!(when.to_string(), "2026-11-21 10:50:00");
        let later = json!({"custom": {"城市": "北京", "新": true}});
        assert_eq!(
            rows.cells(&later)[3..6],
            [Cell::text("北京"), Cell::Empty, Cell::text("新: true")]
        );
    }
}
