//! Which column holds what: known headings (simplified, traditional, English) by themselves, any by the sender's mapping.

use super::{Asked, SheetError, letter};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    Phone,
    Name,
    Batch,
    Custom(String),
    /// Kept as the custom column of its letter.
    Unheaded,
    Ignored,
}

/// How a column was understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnUse {
    /// A, B …
    pub letter: String,
    pub heading: String,
    /// `phone`, `name`, `batch`, `ignore`, or the custom column it is kept as.
    pub holds: String,
}

impl ColumnUse {
    /// Its place in a row, counted from 0.
    pub fn place(&self) -> Option<usize> {
        column_of(&self.letter)
    }
}

const TITLE: usize = 64;

/// Headings of our own files of rejected rows: such a file is mended and uploaded again.
pub const REJECT_HEADINGS: [[&str; 3]; 4] = [
    ["Rejected row", "拒绝行号", "拒絕行號"],
    ["Rejected column", "拒绝列", "拒絕欄"],
    ["Rejection code", "拒绝代码", "拒絕代碼"],
    ["Rejected because", "拒绝原因", "拒絕原因"],
];

/// Headings of our own file of leads (`exports`) that are no words of a lead: such a file is changed and uploaded again.
const EXPORT_HEADINGS: [[&str; 3]; 11] = [
    ["Other columns", "其他列", "其他欄"],
    ["State", "状态", "狀態"],
    ["Rule", "限制规则", "限制規則"],
    ["Grade", "等级", "等級"],
    ["Attempts", "拨打次数", "撥打次數"],
    ["Due", "下次拨打", "下次撥打"],
    ["Campaign id", "任务编号", "任務編號"],
    ["Last call id", "最近通话编号", "最近通話編號"],
    ["Created", "创建时间", "建立時間"],
    ["Changed", "更新时间", "更新時間"],
    ["Id", "编号", "編號"],
];
/// Anybody has a column called State or Id; only our file has these three.
const EXPORT_MARKS: [&str; 3] = ["State", "Last call id", "Id"];

/// The places of `EXPORT_HEADINGS`, in a file that is ours.
fn exported(titles: &[String]) -> Vec<usize> {
    (0..3)
        .find_map(|tongue| {
            // An enterprise's own column of that name stands before ours.
            let place = |ours: &[&str; 3]| titles.iter().rposition(|title| title == ours[tongue]);
            let marks = |ours: &&[&str; 3]| EXPORT_MARKS.contains(&ours[0]);
            let all = EXPORT_HEADINGS
                .iter()
                .filter(marks)
                .all(|ours| place(ours).is_some());
            all.then(|| EXPORT_HEADINGS.iter().filter_map(place).collect())
        })
        .unwrap_or_default()
}

/// Reads the sender's `mapping`: a JSON object of texts.
pub fn mapping(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mapping: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if mapping.len() > 100 {
        return Err("names more than 100 columns".into());
    }
    for (what, long) in [("phone", 1), ("name", 1), ("batch", 1)] {
        if mapping.values().filter(|holds| *holds == what).count() > long {
            return Err(format!("two columns cannot both be the {what}"));
        }
    }
    if mapping
        .values()
        .any(|holds| holds.trim().is_empty() || holds.chars().count() > TITLE)
    {
        return Err(format!(
            "a column is phone, name, batch, ignore or a name of up to {TITLE} characters"
        ));
    }
    Ok(mapping)
}

/// Compared without case, spaces, marks for "required" and what stands in brackets.
fn plain(heading: &str) -> String {
    let bare = heading
        .split(['(', '（', '[', '【'])
        .next()
        .unwrap_or_default();
    bare.to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && !"*＊_-:：.。/、".contains(*c))
        .collect()
}

fn known(heading: &str) -> Column {
    if heading.is_empty() {
        return Column::Unheaded;
    }
    match plain(heading).as_str() {
        "电话" | "電話" | "手机" | "手機" | "手机号" | "手機號" | "手机号码" | "手機號碼"
        | "电话号码" | "電話號碼" | "联系电话" | "聯絡電話" | "聯繫電話" | "联系方式"
        | "客户电话" | "客戶電話" | "客户手机" | "移动电话" | "號碼" | "号码" | "被叫号码"
        | "电话phone" | "電話phone" | "phone" | "phonenumber" | "phoneno" | "mobile"
        | "mobilenumber" | "mobilephone" | "cell" | "cellphone" | "tel" | "telephone"
        | "telephonenumber" | "number" | "contactnumber" => Column::Phone,
        "姓名" | "名字" | "名称" | "名稱" | "客户" | "客戶" | "客户姓名" | "客戶姓名"
        | "客户名称" | "客戶名稱" | "联系人" | "聯絡人" | "聯繫人" | "称呼" | "姓名name"
        | "name" | "fullname" | "customer" | "customername" | "contact" | "contactname" => {
            Column::Name
        }
        "批次" | "批次号" | "批次號" | "导入批次" | "導入批次" | "匯入批次" | "批次batch"
        | "batch" | "batchnumber" | "batchno" => Column::Batch,
        found
            if REJECT_HEADINGS
                .iter()
                .flatten()
                .any(|ours| plain(ours) == found) =>
        {
            Column::Ignored
        }
        _ => Column::Custom(heading.trim().chars().take(TITLE).collect()),
    }
}

fn meant(holds: &str) -> Column {
    match holds.trim() {
        "phone" => Column::Phone,
        "name" => Column::Name,
        "batch" => Column::Batch,
        "ignore" => Column::Ignored,
        custom => Column::Custom(custom.to_owned()),
    }
}

/// The columns of a sheet, from the cells of its heading row (`None`: it has none, all are named by letter).
#[derive(Clone, Debug, Default)]
pub struct Headings {
    pub columns: Vec<Column>,
    titles: Vec<String>,
    pub phone: PhoneBy,
    /// A column the mapping names and this row does not have.
    unused: Option<String>,
    /// Letters of the mapping beyond the cells of this row.
    beyond: Vec<(usize, String)>,
}

/// What tells where the phone is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PhoneBy {
    #[default]
    Nothing,
    /// The mapping, by letter: any row may be the heading.
    Letter(usize),
    /// A heading: this row is the heading row.
    Heading,
}

impl Headings {
    /// What the columns would hold if this row were the heading.
    pub fn of(cells: &[(usize, String)], asked: &Asked) -> Result<Headings, SheetError> {
        let mut titles = vec![String::new(); cells.last().map_or(0, |(column, _)| column + 1)];
        for (column, title) in cells {
            titles[*column].clone_from(title);
        }
        let mut columns = Vec::new();
        let mut used = std::collections::HashSet::new();
        let exported = exported(&titles);
        for (n, title) in titles.iter().enumerate() {
            let key = asked
                .mapping
                .keys()
                .find(|key| !title.is_empty() && (key.trim() == title || same(key, title)));
            let column = match key {
                Some(key) => {
                    used.insert(key.clone());
                    meant(&asked.mapping[key])
                }
                None if exported.contains(&n) => Column::Ignored,
                None => known(title),
            };
            columns.push((column, key.is_some()));
        }
        let width = titles.len();
        let (mut lettered, mut beyond) = (None, Vec::new());
        for (key, holds) in &asked.mapping {
            if used.contains(key) {
                continue;
            }
            let Some(n) = column_of(key) else { continue };
            if n >= super::table::COLUMNS {
                return Err(SheetError::NoSuchColumn(key.clone()));
            }
            if columns.len() <= n {
                columns.resize(n + 1, (Column::Unheaded, false));
                titles.resize(n + 1, String::new());
            }
            if (1..=n).contains(&width) {
                beyond.push((n, key.clone()));
            }
            used.insert(key.clone());
            columns[n] = (meant(holds), true);
            if columns[n].0 == Column::Phone {
                lettered = Some(n);
            }
        }
        settle(&mut columns, &titles)?;
        let columns: Vec<Column> = columns.into_iter().map(|(column, _)| column).collect();
        let phone = match lettered {
            Some(n) => PhoneBy::Letter(n),
            None if columns.contains(&Column::Phone) => PhoneBy::Heading,
            None => PhoneBy::Nothing,
        };
        let unused = asked.mapping.keys().find(|key| !used.contains(*key));
        Ok(Headings {
            columns: apart(columns),
            titles,
            phone,
            unused: unused.cloned(),
            beyond,
        })
    }

    /// Taken for the heading row of the sheet.
    pub fn settled(self) -> Result<Headings, SheetError> {
        match self.unused {
            Some(key) => Err(SheetError::NoSuchColumn(key)),
            None => Ok(self),
        }
    }

    /// `NoSuchColumn` when the mapping names a letter that neither the heading nor any row reaches.
    pub fn reached(&self, widest: Option<usize>) -> Result<(), SheetError> {
        let missed = self.beyond.iter().find(|(n, _)| Some(*n) > widest);
        missed.map_or(Ok(()), |(_, key)| {
            Err(SheetError::NoSuchColumn(key.clone()))
        })
    }

    pub fn column(&self, n: usize) -> &Column {
        self.columns.get(n).unwrap_or(&Column::Unheaded)
    }

    /// The custom column one without a heading is kept as: its letter, told apart from a heading that says the same.
    pub fn lettered(&self, n: usize) -> String {
        let letter = letter(n);
        if self.columns.contains(&Column::Custom(letter.clone())) {
            return format!("{letter} {letter}");
        }
        letter
    }

    /// How the columns were understood; of those without a heading, the ones with something in them.
    pub fn uses(&self, filled: &BTreeSet<usize>) -> Vec<ColumnUse> {
        let width = filled.last().map_or(0, |n| n + 1).max(self.columns.len());
        let title = |n: usize| self.titles.get(n).cloned().unwrap_or_default();
        (0..width)
            .filter(|n| match self.column(*n) {
                Column::Unheaded => filled.contains(n),
                Column::Ignored => !title(*n).is_empty(),
                _ => true,
            })
            .map(|n| ColumnUse {
                letter: letter(n),
                heading: title(n),
                holds: match self.column(n) {
                    Column::Phone => "phone".into(),
                    Column::Name => "name".into(),
                    Column::Batch => "batch".into(),
                    Column::Ignored => "ignore".into(),
                    Column::Unheaded => self.lettered(n),
                    Column::Custom(title) => title.clone(),
                },
            })
            .collect()
    }

    /// What to call a column to people.
    pub fn title(&self, column: usize) -> String {
        match self.titles.get(column) {
            Some(title) if !title.is_empty() => title.clone(),
            _ => letter(column),
        }
    }
}

fn same(key: &str, title: &str) -> bool {
    let key = plain(key);
    !key.is_empty() && key == plain(title)
}

/// The mapping's word goes over what a heading seems to say; two that say the same are refused.
fn settle(columns: &mut [(Column, bool)], titles: &[String]) -> Result<(), SheetError> {
    for (kind, what) in [
        (Column::Phone, "phone"),
        (Column::Name, "name"),
        (Column::Batch, "batch"),
    ] {
        let of_kind = |columns: &[(Column, bool)]| -> Vec<usize> {
            let all = 0..columns.len();
            all.filter(|n| columns[*n].0 == kind).collect()
        };
        if columns.iter().any(|(column, by)| *by && *column == kind) {
            for n in of_kind(columns) {
                if !columns[n].1 {
                    columns[n].0 = Column::Custom(titles[n].clone());
                }
            }
        }
        let at = of_kind(columns);
        if at.len() > 1 {
            let columns = at
                .iter()
                .map(|n| format!("{} ({})", titles[*n], letter(*n)))
                .collect::<Vec<_>>()
                .join(", ");
            let what = what.to_owned();
            return Err(SheetError::TwoColumns { what, columns });
        }
    }
    Ok(())
}

/// Custom columns of one name are told apart by their letters.
fn apart(mut columns: Vec<Column>) -> Vec<Column> {
    let mut seen = std::collections::HashSet::new();
    for (n, column) in columns.iter_mut().enumerate() {
        if let Column::Custom(title) = column
            && !seen.insert(title.clone())
        {
            *title = format!("{title} {}", letter(n));
        }
    }
    columns
}

/// The column a letter names, counted from 0.
fn column_of(letters: &str) -> Option<usize> {
    let letters = letters.trim();
    if letters.is_empty() || letters.len() > 3 || !letters.bytes().all(|b| b.is_ascii_alphabetic())
    {
        return None;
    }
    let number = letters
        .bytes()
        .map(|b| usize::from(b.to_ascii_uppercase() - b'A') + 1)
        .fold(0, |n, digit| n * 26 + digit);
    Some(number - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(mapping: &[(&str, &str)]) -> Asked {
        Asked {
            mapping: mapping
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect(),
            ..Asked::default()
        }
    }
    fn cells(titles: &[&str]) -> Vec<(usize, String)> {
        titles.iter().map(|t| (*t).to_owned()).enumerate().collect()
    }
    fn holds(titles: &[&str], mapping: &[(&str, &str)]) -> Result<Option<Vec<String>>, SheetError> {
        let found = Headings::of(&cells(titles), &asked(mapping))?;
        if found.phone == PhoneBy::Nothing {
            return Ok(None);
        }
        let uses = found.settled()?.uses(&BTreeSet::new());
        Ok(Some(uses.into_iter().map(|column| column.holds).collect()))
    }

    #[test]
    fn headings_are_known_in_three_tongues() {
        for titles in [
            ["姓名", "手机号码(必填)", "批次号", "城市"],
            ["客戶姓名", "聯絡電話", "匯入批次", "城市"],
            ["Full name", "*Phone Number:", "Batch no.", "城市"],
        ] {
            assert_eq!(
                holds(&titles, &[]).unwrap().unwrap(),
                ["name", "phone", "batch", "城市"]
            );
        }
        assert_eq!(holds(&["2026 名单", "", "x"], &[]), Ok(None));
    }

    #[test]
    fn a_mapping_goes_over_what_headings_seem_to_say() {
        let titles = ["手机", "固定电话", "电话", "备注", "备注"];
        assert!(matches!(
            holds(&titles, &[]),
            Err(SheetError::TwoColumns { .. })
        ));
        let mapped = holds(&titles, &[("C", "phone"), ("备注", "ignore")]);
        assert_eq!(
            mapped.unwrap().unwrap(),
            ["手机", "固定电话", "phone", "ignore", "ignore"]
        );
        let mapped = holds(&titles, &[("固定电话", "phone"), ("d", "城市")]);
        assert_eq!(
            mapped.unwrap().unwrap(),
            ["手机", "phone", "电话", "城市", "备注"]
        );
        assert_eq!(
            holds(&["phone"], &[("城市", "city")]),
            Err(SheetError::NoSuchColumn("城市".into()))
        );
    }

    #[test]
    fn a_mapping_that_names_two_columns_or_none_is_refused() {
        let both = holds(&["手机", "手机", "x"], &[("手机", "phone")]);
        assert!(matches!(both, Err(SheetError::TwoColumns { .. })));
        let found = |mapping| Headings::of(&cells(&["phone", "x"]), &asked(mapping)).unwrap();
        let beyond = found(&[("D", "name")]);
        let missed = Err(SheetError::NoSuchColumn("D".into()));
        assert_eq!(beyond.reached(None), missed);
        assert_eq!(beyond.reached(Some(2)), missed);
        assert_eq!(beyond.reached(Some(3)), Ok(()));
        assert_eq!(found(&[("B", "name")]).reached(None), Ok(()));
    }

    #[test]
    fn our_own_file_is_known_by_three_of_its_headings() {
        let ours = ["状态", "phone", "状态", "最近通话编号", "等级", "编号"];
        assert_eq!(
            holds(&ours, &[]).unwrap().unwrap(),
            ["状态", "phone", "ignore", "ignore", "ignore", "ignore"]
        );
        let theirs = ["phone", "状态", "等级", "编号"];
        assert_eq!(
            holds(&theirs, &[]).unwrap().unwrap(),
            ["phone", "状态", "等级", "编号"]
        );
    }

    #[test]
    fn columns_of_one_name_are_kept_apart_and_our_own_reasons_are_not_data() {
        assert_eq!(
            holds(&["phone", "备注", "备注", "拒绝原因", "Rejected row"], &[])
                .unwrap()
                .unwrap(),
            ["phone", "备注", "备注 C", "ignore", "ignore"]
        );
    }

    #[test]
    fn a_mapping_is_an_object_of_texts() {
        assert!(mapping(r#"{"A":"phone","城市":"city"}"#).is_ok());
        for wrong in [
            "",
            "[]",
            r#"{"A":1}"#,
            r#"{"A":"phone","B":"phone"}"#,
            r#"{"A":""}"#,
        ] {
            assert!(mapping(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            (column_of("A"), column_of("xfd"), column_of("电")),
            (Some(0), Some(16_383), None)
        );
    }
}
