//! Lists, all asked for in one way: filters, a sort from a whitelist, a page by keyset. Each list declares its fields once
//! (`Listing`); the API reads a query string against that declaration and shows it in its document.
//!
//! A page is `WHERE (column, id) > (…) ORDER BY column, id LIMIT n`: stable, and as dear at the end of a list as at its
//! beginning. A cursor carries the print of the sort and the filters it was made under, so that it goes on with that list only.

use crate::db::{Db, Row, Statement, Value};
use crate::error::StoreError;
use crate::store::{MAX_PAGE, Page};
use model::Wall;
use uuid::Uuid;

/// What a field holds, and with it how it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One or more with commas.
    Id,
    /// One or more of these, with commas.
    Word(&'static [&'static str]),
    /// The whole text.
    Text,
    /// Part of the text.
    Part,
    /// One or more whole numbers with commas.
    Whole,
    /// `name[gte]` and `name[lt]`.
    Moment,
    /// `true` or `false`.
    Flag,
}

#[derive(Clone, Copy, Debug)]
enum Sort {
    No,
    Column,
    /// Ids rise with time: the order of the ids is the order of this field.
    Id,
}

/// One field of a list, under its name in the API.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    column: &'static str,
    sort: Sort,
}

impl Field {
    pub(crate) const fn new(name: &'static str, column: &'static str, kind: Kind) -> Field {
        Field {
            name,
            kind,
            column,
            sort: Sort::No,
        }
    }
    /// Of a column that is never null and comes first in an index, or of a short list.
    pub(crate) const fn sorted(self) -> Field {
        Field {
            sort: Sort::Column,
            ..self
        }
    }
    pub(crate) const fn sorted_by_id(self) -> Field {
        Field {
            sort: Sort::Id,
            ..self
        }
    }
    pub fn sorts(&self) -> bool {
        !matches!(self.sort, Sort::No)
    }
}

/// Where `q` looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Search {
    Text(&'static str),
    /// Only for what looks like a piece of a number.
    Number(&'static str),
}

/// What may be asked of a list.
#[derive(Debug)]
pub struct Listing {
    pub fields: &'static [Field],
    /// As `sort` is written when it is absent: `-started_at`.
    pub order: &'static str,
    /// Makes the order whole where the sort does not.
    pub(crate) id: &'static str,
    pub(crate) search: &'static [Search],
}

impl Listing {
    pub fn searches(&self) -> bool {
        !self.search.is_empty()
    }
    /// What `sort` may be.
    pub fn sorts(&self) -> Vec<String> {
        let names = self.fields.iter().filter(|field| field.sorts());
        names
            .flat_map(|field| [field.name.to_owned(), format!("-{}", field.name)])
            .collect()
    }
    fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A parameter that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParameter {
    pub name: String,
    /// Stable: `unknown_parameter`, `repeated`, `unknown_value`, `invalid`, `out_of_range`, `invalid_cursor`.
    pub code: &'static str,
    pub detail: String,
}

fn bad(name: &str, code: &'static str, detail: impl Into<String>) -> BadParameter {
    BadParameter {
        name: name.to_owned(),
        code,
        detail: detail.into(),
    }
}

#[derive(Clone, Debug)]
enum Condition {
    Among(&'static Field, Vec<Value>),
    Part(&'static Field, String),
    From(&'static Field, Wall),
    Before(&'static Field, Wall),
    Is(&'static Field, bool),
}

#[derive(Clone, Debug)]
struct Place {
    key: Option<Value>,
    id: Uuid,
}

/// A list as it was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    listing: &'static Listing,
    given: Vec<(String, String)>,
    conditions: Vec<Condition>,
    search: Option<String>,
    sort: &'static Field,
    down: bool,
    limit: u32,
    place: Option<Place>,
}

/// The longest page one may ask for, and the one that comes unasked.
pub const MOST: u32 = 200;
pub const USUAL: u32 = 50;

impl Asked {
    /// The beginning of the whole list, in its usual order.
    pub fn of(listing: &'static Listing) -> Asked {
        let name = listing.order.trim_start_matches('-');
        let sort = listing.field(name).unwrap_or(&listing.fields[0]);
        Asked {
            listing,
            given: Vec::new(),
            conditions: Vec::new(),
            search: None,
            sort,
            down: listing.order.starts_with('-'),
            limit: USUAL,
            place: None,
        }
    }

    /// From the parameters of a query, decoded.
    pub fn read(
        listing: &'static Listing,
        parameters: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Asked, BadParameter> {
        let mut asked = Asked::of(listing);
        let mut cursor = None;
        let mut seen: Vec<String> = Vec::new();
        for (name, text) in parameters {
            if seen.contains(&name) {
                return Err(bad(&name, "repeated", "is given twice"));
            }
            match name.as_str() {
                "limit" => {
                    let limit = text.parse().ok().filter(|n| (1..=MOST).contains(n));
                    asked.limit = limit
                        .ok_or_else(|| bad("limit", "out_of_range", format!("1 to {MOST}")))?;
                }
                "cursor" => cursor = Some(text),
                "sort" => asked.sort_by(&text)?,
                "q" if listing.searches() => asked.search_for(&text)?,
                _ => asked.filter(&name, &text)?,
            }
            seen.push(name);
        }
        if let Some(cursor) = cursor {
            asked.place = Some(asked.place_of(&cursor).ok_or_else(|| {
                let detail = "take next_cursor from an answer to the same sort and filters";
                bad("cursor", "invalid_cursor", detail)
            })?);
        }
        Ok(asked)
    }

    /// One more filter; for callers of our own.
    pub fn with(mut self, name: &str, text: &str) -> Result<Asked, BadParameter> {
        match name {
            "sort" => self.sort_by(text)?,
            "q" => self.search_for(text)?,
            _ => self.filter(name, text)?,
        }
        Ok(self)
    }

    /// Rows per page; up to `MAX_PAGE` for callers of our own.
    pub fn limit(mut self, rows: u32) -> Asked {
        self.limit = rows.clamp(1, MAX_PAGE);
        self
    }

    /// Goes on where a page of the same list ended.
    pub fn after(mut self, cursor: &str) -> Result<Asked, StoreError> {
        let place = self.place_of(cursor);
        self.place = Some(place.ok_or(StoreError::Invalid { field: "cursor" })?);
        Ok(self)
    }

    /// Whether this filter was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| given == name)
    }

    fn sort_by(&mut self, text: &str) -> Result<(), BadParameter> {
        let field = self.listing.field(text.trim_start_matches('-'));
        let whole = !text.starts_with("--");
        match field.filter(|field| field.sorts() && whole) {
            Some(field) => (self.sort, self.down) = (field, text.starts_with('-')),
            None => {
                let known = self.listing.sorts().join(", ");
                return Err(bad("sort", "unknown_value", format!("one of {known}")));
            }
        }
        Ok(())
    }

    fn search_for(&mut self, text: &str) -> Result<(), BadParameter> {
        let text = text.trim();
        if text.chars().count() > 200 {
            return Err(bad("q", "too_long", "at most 200 characters"));
        }
        if !text.is_empty() {
            self.given.push(("q".to_owned(), text.to_owned()));
            self.search = Some(text.to_owned());
        }
        Ok(())
    }

    fn filter(&mut self, name: &str, text: &str) -> Result<(), BadParameter> {
        let (plain, edge) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((plain, edge)) => (plain, Some(edge)),
            None => (name, None),
        };
        let unknown = || {
            let known = self.listing.fields.iter().map(|field| field.name);
            let known = known.collect::<Vec<_>>().join(", ");
            bad(
                name,
                "unknown_parameter",
                format!("this list knows {known}"),
            )
        };
        let field = self.listing.field(plain).ok_or_else(unknown)?;
        let words = || text.split(',').map(str::trim);
        let condition = match (field.kind, edge) {
            (Kind::Moment, Some(edge @ ("gte" | "lt"))) => {
                // An unescaped plus of the zone arrives as a space.
                let at = Wall::parse_rfc3339(&text.replace(' ', "+")).ok_or_else(|| {
                    let detail = "a moment is written as 2026-11-21T10:50:00+08:00";
                    bad(name, "invalid", detail)
                })?;
                match edge {
                    "gte" => Condition::From(field, at),
                    _ => Condition::Before(field, at),
                }
            }
            (Kind::Id, None) => {
                let ids = words().map(|word| Uuid::parse_str(word).map(Value::from));
                let ids: Result<Vec<_>, _> = ids.collect();
                Condition::Among(field, ids.map_err(|_| bad(name, "invalid", "is no id"))?)
            }
            (Kind::Word(known), None) => {
                if !words().all(|word| known.contains(&word)) {
                    let detail = format!("one or more of {}", known.join(", "));
                    return Err(bad(name, "unknown_value", detail));
                }
                Condition::Among(field, words().map(Value::from).collect())
            }
            (Kind::Whole, None) => {
                let numbers: Result<Vec<_>, _> = words()
                    .map(|word| word.parse::<i64>().map(Value::from))
                    .collect();
                Condition::Among(
                    field,
                    numbers.map_err(|_| bad(name, "invalid", "is no whole number"))?,
                )
            }
            (Kind::Text, None) => Condition::Among(field, vec![text.into()]),
            (Kind::Part, None) => Condition::Part(field, text.to_owned()),
            (Kind::Flag, None) => match text {
                "true" => Condition::Is(field, true),
                "false" => Condition::Is(field, false),
                _ => return Err(bad(name, "unknown_value", "true or false")),
            },
            _ => return Err(unknown()),
        };
        self.given.push((name.to_owned(), text.to_owned()));
        self.conditions.push(condition);
        Ok(())
    }

    /// Of sort and filters: FNV-1a. It tells lists apart for honest readers; a forged cursor shows nothing that its filters
    /// would not.
    fn print(&self) -> u64 {
        let mut given = self.given.clone();
        given.sort();
        let sort = (self.sort.name.to_owned(), self.down.to_string());
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (name, text) in std::iter::once(&sort).chain(&given) {
            for byte in name.bytes().chain([0]).chain(text.bytes()).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }

    fn place_of(&self, cursor: &str) -> Option<Place> {
        let (print, rest) = cursor.split_at_checked(16)?;
        let (id, key) = rest.split_at_checked(32)?;
        if print != format!("{:016x}", self.print()) {
            return None;
        }
        let id = Uuid::try_parse(id).ok()?;
        let key = String::from_utf8(unhex(key)?).ok()?;
        let key = match (self.sort.sort, self.sort.kind) {
            (Sort::Id | Sort::No, _) => key.is_empty().then_some(None)?,
            (Sort::Column, Kind::Moment) => Some(Value::from(key.parse::<i64>().ok()?)),
            (Sort::Column, _) => Some(Value::from(key)),
        };
        Some(Place { key, id })
    }

    fn cursor(&self, row: &Row) -> Result<String, StoreError> {
        let plain = |column: &'static str| column.rsplit('.').next().unwrap_or(column);
        let key = match (self.sort.sort, self.sort.kind) {
            (Sort::Id | Sort::No, _) => String::new(),
            (Sort::Column, Kind::Moment) => row.get::<i64>(plain(self.sort.column))?.to_string(),
            (Sort::Column, _) => row.get::<String>(plain(self.sort.column))?,
        };
        let id: Uuid = row.get(plain(self.listing.id))?;
        Ok(format!(
            "{:016x}{}{}",
            self.print(),
            id.simple(),
            hex(key.as_bytes())
        ))
    }

    /// `list` ends in a WHERE clause; the conditions are added to it.
    pub(crate) fn filtered(&self, mut list: Statement) -> Statement {
        for condition in &self.conditions {
            list = match condition {
                Condition::Among(field, values) => {
                    list.then("AND").among(field.column, values.iter().cloned())
                }
                Condition::Part(field, text) => list.and_holds("AND", field.column, text),
                Condition::From(field, at) => list.then("AND").then(field.column).and(">= ?", *at),
                Condition::Before(field, at) => list.then("AND").then(field.column).and("< ?", *at),
                Condition::Is(field, wanted) => {
                    list.then("AND (").then(field.column).and(") = ?", *wanted)
                }
            };
        }
        let Some(text) = &self.search else {
            return list;
        };
        // Of nothing to look in, nothing is found.
        list = list.then("AND (FALSE");
        for place in self.listing.search {
            list = match (place, number_pattern(text)) {
                (Search::Text(column), _) => list.and_holds("OR", column, text),
                (Search::Number(column), Some(pattern)) => {
                    list.then("OR").then(column).and("LIKE ?", pattern)
                }
                (Search::Number(_), None) => list,
            };
        }
        list.then(")")
    }

    /// The rows of the page asked for, and the cursor of the next.
    pub(crate) async fn rows(
        &self,
        list: Statement,
        db: &Db,
    ) -> Result<(Vec<Row>, Option<String>), StoreError> {
        let mut list = self.filtered(list);
        let (id, by_id) = (self.listing.id, matches!(self.sort.sort, Sort::Id));
        if let Some(place) = &self.place {
            list = match &place.key {
                None => list
                    .then("AND")
                    .then(id)
                    .and(if self.down { "< ?" } else { "> ?" }, place.id),
                Some(key) => list
                    .then("AND (")
                    .then(self.sort.column)
                    .then(",")
                    .then(id)
                    .then(if self.down { ") <" } else { ") >" })
                    .and("(?,", key.clone())
                    .and("?)", place.id),
            };
        }
        let way = if self.down { "DESC" } else { "ASC" };
        list = list.then("ORDER BY");
        if !by_id {
            list = list.then(self.sort.column).then(way).then(",");
        }
        let limit = self.limit;
        let mut rows = list
            .then(id)
            .then(way)
            .and("LIMIT ?", limit + 1)
            .all(db)
            .await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = match rows.last().filter(|_| more) {
            Some(last) => Some(self.cursor(last)?),
            None => None,
        };
        Ok((rows, next))
    }

    /// The same, read.
    pub(crate) async fn page<T>(
        &self,
        list: Statement,
        db: &Db,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let (rows, next) = self.rows(list, db).await?;
        let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page { rows, next })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(&text[n..n + 2], 16).ok())
        .collect()
}

/// What looks like a piece of a number finds numbers; written from its plus, from their beginning.
fn number_pattern(text: &str) -> Option<String> {
    let text = text.trim();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let numberish = text
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')'));
    (numberish && !digits.is_empty()).then(|| match text.starts_with('+') {
        true => format!("+{digits}%"),
        false => format!("%{digits}%"),
    })
}

/// A to F, as filters take them.
pub(crate) const GRADES: Kind = Kind::Word(&["A", "B", "C", "D", "E", "F"]);

#[cfg(test)]
mod tests {
    use super::*;

    static LIST: Listing = Listing {
        fields: &[
            Field::new("at", "t.at", Kind::Moment).sorted(),
            Field::new("made", "made", Kind::Moment).sorted_by_id(),
            Field::new("grade", "grade", GRADES),
            Field::new("batch", "batch", Kind::Text),
        ],
        order: "-at",
        id: "t.id",
        search: &[Search::Text("name")],
    };

    fn read(parameters: &[(&str, &str)]) -> Result<Asked, BadParameter> {
        let owned = parameters.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        Asked::read(&LIST, owned.collect::<Vec<_>>())
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (name, value, code) in [
            ("colour", "red", "unknown_parameter"),
            ("at", "2026-01-01T00:00:00Z", "unknown_parameter"),
            ("at[gt]", "2026-01-01T00:00:00Z", "unknown_parameter"),
            ("grade[gte]", "A", "unknown_parameter"),
            ("at[gte]", "yesterday", "invalid"),
            ("grade", "A,G", "unknown_value"),
            ("grade", "", "unknown_value"),
            ("sort", "grade", "unknown_value"),
            ("sort", "--at", "unknown_value"),
            ("sort", "at; DROP TABLE calls", "unknown_value"),
            ("limit", "0", "out_of_range"),
            ("limit", "201", "out_of_range"),
            ("limit", "many", "out_of_range"),
            ("cursor", "", "invalid_cursor"),
            ("cursor", "zzz", "invalid_cursor"),
            ("cursor", "诶诶诶诶诶诶诶诶", "invalid_cursor"),
        ] {
            let refused = read(&[(name, value)]).unwrap_err();
            assert_eq!((refused.name.as_str(), refused.code), (name, code));
        }
        let twice = read(&[("grade", "A"), ("grade", "B")]).unwrap_err();
        assert_eq!(twice.code, "repeated");
    }

    #[test]
    fn a_cursor_belongs_to_its_sort_and_filters_in_whatever_order_they_are_given() {
        let asked = read(&[("grade", "A"), ("batch", "b")]).unwrap();
        let cursor = format!(
            "{:016x}{}{}",
            asked.print(),
            Uuid::nil().simple(),
            hex(b"7")
        );
        let c = cursor.as_str();
        assert!(read(&[("batch", "b"), ("cursor", c), ("grade", "A")]).is_ok());
        assert!(
            read(&[
                ("batch", "b"),
                ("cursor", c),
                ("grade", "A"),
                ("limit", "3")
            ])
            .is_ok()
        );
        for other in [
            vec![("grade", "A"), ("cursor", c)],
            vec![("grade", "B"), ("batch", "b"), ("cursor", c)],
            vec![("grade", "A"), ("batch", "b"), ("q", "x"), ("cursor", c)],
            vec![
                ("grade", "A"),
                ("batch", "b"),
                ("sort", "at"),
                ("cursor", c),
            ],
            vec![
                ("grade", "A"),
                ("batch", "b"),
                ("sort", "made"),
                ("cursor", c),
            ],
        ] {
            assert_eq!(read(&other).unwrap_err().code, "invalid_cursor");
        }
        let forged = format!("{:016x}{}{}", asked.print(), Uuid::nil().simple(), "zz");
        let again = [("grade", "A"), ("batch", "b"), ("cursor", forged.as_str())];
        assert_eq!(read(&again).unwrap_err().code, "invalid_cursor");
    }
}
