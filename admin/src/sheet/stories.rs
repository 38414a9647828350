//! Tame files of every kind, read as people mean them.

use super::reader::read_tame;
use super::template::template;
use super::write::Format;
use super::{Asked, Found, SheetError};
use rust_xlsxwriter::{Format as CellFormat, Workbook, Worksheet};
use store::imports::SheetRow;

fn asked() -> Asked {
    Asked {
        country: "86".into(),
        most_rows: 100,
        ..Asked::default()
    }
}

fn mapped(mapping: &[(&str, &str)]) -> Asked {
    let pairs = mapping.iter().map(|(a, b)| ((*a).into(), (*b).into()));
    Asked {
        mapping: pairs.collect(),
        ..asked()
    }
}

fn sheet(fill: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    fill(workbook.add_worksheet());
    workbook.save_to_buffer().unwrap()
}

fn texts(sheet: &mut Worksheet, rows: &[&[&str]]) {
    for (r, row) in rows.iter().enumerate() {
        for (c, text) in row.iter().enumerate() {
            sheet.write(r as u32, c as u16, *text).unwrap();
        }
    }
}

/// `row number name` of what became leads, `row code` of what did not.
fn told((_, rows): &(Found, Vec<SheetRow>)) -> Vec<String> {
    rows.iter()
        .map(|row| match &row.lead {
            Ok(lead) => format!("{} {} {}", row.row, lead.lead.number, lead.lead.name),
            Err(fault) => format!("{} {}", row.row, fault.code),
        })
        .collect()
}

#[test]
fn numbers_come_as_text_or_as_floats_and_other_columns_are_kept() {
    let bytes = sheet(|s| {
        texts(s, &[&["姓名", "手机", "金额", "城市", "日期"]]);
        s.write(1, 0, "王一").unwrap();
        s.write(1, 1, 13800138000.0).unwrap();
        s.write(1, 2, 1500.5).unwrap();
        s.write(1, 3, "上海").unwrap();
        let day = CellFormat::new().set_num_format("yyyy-mm-dd");
        s.write_number_with_format(1, 4, 45943.0, &day).unwrap();
        s.write(3, 0, "李二").unwrap();
        s.write(3, 1, " 138-0013-8001 ").unwrap();
    });
    let read = read_tame(&bytes, &asked()).unwrap();
    assert_eq!(
        told(&read),
        ["2 +8613800138000 王一", "4 +8613800138001 李二"]
    );
    let custom = &read.1[0].lead.as_ref().unwrap().lead.custom;
    assert_eq!(
        (&custom["金额"], &custom["城市"], &custom["日期"]),
        (&1500.5.into(), &"上海".into(), &"2025-10-13".into())
    );
}

#[test]
fn a_row_that_cannot_be_a_lead_says_why_and_shows_its_cells() {
    let bytes = sheet(|s| {
        texts(
            s,
            &[&["Name", "Phone number"], &["no phone"], &["", "12ab"]],
        );
        s.write(3, 1, 110).unwrap();
        s.write(4, 1, 1.5).unwrap();
        s.write(5, 1, true).unwrap();
        s.write(6, 1, "1.38001E+10").unwrap();
        s.write(7, 0, "x".repeat(1001)).unwrap();
    });
    let read = read_tame(&bytes, &asked()).unwrap();
    assert_eq!(
        told(&read),
        [
            "2 required",
            "3 not_a_number",
            "4 short_number",
            "5 not_a_number",
            "6 not_a_number",
            "7 shortened_number",
            "8 too_long"
        ]
    );
    assert_eq!(read.1[1].cells, ["", "12ab"]);
    assert_eq!(read.1[6].cells[0].chars().count(), 200);
    assert_eq!(read.1[0].lead.as_ref().unwrap_err().column, "Phone number");
}

#[test]
fn the_heading_is_found_below_titles_and_on_a_later_sheet() {
    let mut workbook = Workbook::new();
    texts(workbook.add_worksheet(), &[&["请先阅读说明"], &["第一步"]]);
    let hidden = workbook.add_worksheet();
    hidden.set_hidden(true);
    texts(hidden, &[&["电话"], &["13700137000"]]);
    let leads = workbook.add_worksheet().set_name("名单").unwrap();
    leads
        .merge_range(0, 0, 0, 2, "二〇二六年客户名单", &CellFormat::new())
        .unwrap();
    texts(
        leads,
        &[
            &[],
            &[],
            &["客户姓名", "联系电话"],
            &["王一", "13800138000"],
        ],
    );
    leads.set_row_hidden(4).unwrap();
    leads.write(4, 1, "13800138001").unwrap();
    let bytes = workbook.save_to_buffer().unwrap();
    let read = read_tame(&bytes, &asked()).unwrap();
    // Hidden rows are rows; a hidden sheet is read when it is named.
    assert_eq!(told(&read), ["4 +8613800138000 王一", "5 +8613800138001 "]);
    assert_eq!(read.0.sheet.as_deref(), Some("名单"));
    let named = Asked {
        sheet: Some("sheet2".into()),
        ..asked()
    };
    assert_eq!(
        told(&read_tame(&bytes, &named).unwrap()),
        ["2 +8613700137000 "]
    );
    let unknown = Asked {
        sheet: Some("nowhere".into()),
        ..asked()
    };
    assert_eq!(
        read_tame(&bytes, &unknown).unwrap_err(),
        SheetError::NoSuchSheet("nowhere".into())
    );
}

#[test]
fn a_mapping_by_letter_needs_no_heading() {
    let rows = b"13800138000,\xe7\x8e\x8b\n13800138001,x\n";
    let read = read_tame(rows, &mapped(&[("A", "phone"), ("B", "name")])).unwrap();
    assert_eq!(told(&read), ["1 +8613800138000 王", "2 +8613800138001 x"]);
    let rows = b"list of today\nwho,reach,city\nx,13800138001,Ulm\n";
    let read = read_tame(rows, &mapped(&[("b", "phone"), ("A", "name")])).unwrap();
    assert_eq!(told(&read), ["3 +8613800138001 x"]);
    assert_eq!(read.1[0].lead.as_ref().unwrap().lead.custom["city"], "Ulm");
    let without = Asked {
        header_row: Some(0),
        ..mapped(&[("A", "phone")])
    };
    let read = read_tame(b"phone\n13800138001\n", &without).unwrap();
    assert_eq!(told(&read), ["1 not_a_number", "2 +8613800138001 "]);
    let second = Asked {
        header_row: Some(2),
        ..asked()
    };
    let read = read_tame(b"phone,a\nx,phone\n1,13800138001\n", &second).unwrap();
    assert_eq!(told(&read), ["3 +8613800138001 "]);
}

#[test]
fn text_files_of_any_encoding_and_delimiter_are_one_sheet() {
    let text = "姓名;电话;城市\n王一;13800138000;\"上海;浦东\"\n\n李二;'+8613800138001;北京\n";
    let expected = ["2 +8613800138000 王一", "4 +8613800138001 李二"];
    let gbk = encoding_rs::GBK.encode(text).0.into_owned();
    let wide: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    for bytes in [text.as_bytes(), &gbk, &wide] {
        let read = read_tame(bytes, &asked()).unwrap();
        assert_eq!(told(&read), expected);
        assert_eq!(
            read.1[0].lead.as_ref().unwrap().lead.custom["城市"],
            "上海;浦东"
        );
    }
    let tabs = text.replace(';', "\t").replace('\n', "\r\n");
    assert_eq!(
        told(&read_tame(tabs.as_bytes(), &asked()).unwrap()),
        expected
    );
}

#[test]
fn what_is_wrong_with_a_text_file_is_said() {
    let broken = [b"phone\n".as_slice(), b"\xff\xff\xff\xff\n"].concat();
    assert_eq!(
        read_tame(&broken, &asked()).unwrap_err(),
        SheetError::Encoding("gb18030".into())
    );
    let open = format!("phone\n\"{}\n", "13800138000,\n".repeat(8000));
    assert_eq!(
        read_tame(open.as_bytes(), &asked()).unwrap_err(),
        SheetError::OpenQuote(2)
    );
    assert_eq!(
        read_tame(b"who,city\n", &asked()).unwrap_err(),
        SheetError::NoPhoneColumn(vec!["who".into(), "city".into()])
    );
    for (text, line) in [
        (
            "phone,name\n13900000301,ok\n13900000302,\"open\n13900000303,c\n",
            3,
        ),
        (
            "phone\n\"13900000301\",\"a\nb\"\n13900000302,\"c\nd\",\"",
            5,
        ),
        ("phone,name\n\"", 2),
    ] {
        let told = read_tame(text.as_bytes(), &asked()).unwrap_err();
        assert_eq!(told, SheetError::OpenQuote(line), "{text}");
    }
    let closed_by_another = format!("phone\n\n\"{}\",1\n", "13800138000\n".repeat(8000));
    assert_eq!(
        read_tame(closed_by_another.as_bytes(), &asked()).unwrap_err(),
        SheetError::OpenQuote(3)
    );
    let long = format!("phone,a,b\n1,\"x\ny\",{}\n", "1".repeat(200_000));
    assert_eq!(
        read_tame(long.as_bytes(), &asked()).unwrap_err(),
        SheetError::FieldTooLong(3)
    );
    let wide = format!("phone{}\n", ",x".repeat(101));
    assert_eq!(
        read_tame(wide.as_bytes(), &asked()).unwrap_err(),
        SheetError::TooManyColumns(100)
    );
}

#[test]
fn lines_may_end_in_any_way() {
    let text = "phone,name\n13800138000,a\n\n13800138001,\"b\nc\"\n13800138002,d";
    let expected = [
        "2 +8613800138000 a",
        "4 +8613800138001 b c",
        "5 +8613800138002 d",
    ];
    // Old programs for the Macintosh write a line feed inside a cell.
    let returns = text.replace('\n', "\r").replace("b\rc", "b\nc");
    for text in [text.to_owned(), text.replace('\n', "\r\n"), returns] {
        let read = read_tame(text.as_bytes(), &asked()).unwrap();
        let told: Vec<_> = told(&read)
            .iter()
            .map(|row| row.replace("  ", " "))
            .collect();
        assert_eq!(told, expected, "{text:?}");
    }
}

#[test]
fn cells_without_a_heading_are_kept_as_their_letter() {
    let read = read_tame(
        b"phone,,C,,\n13800138000,a,b,,\n13800138001,,,,,f\n",
        &asked(),
    )
    .unwrap();
    let custom = |row: usize| serde_json::json!(read.1[row].lead.as_ref().unwrap().lead.custom);
    assert_eq!(custom(0), serde_json::json!({"B": "a", "C": "b"}));
    assert_eq!(custom(1), serde_json::json!({"F": "f"}));
    let columns = read.0.columns.iter();
    let columns: Vec<_> = columns
        .map(|c| format!("{} {}", c.letter, c.holds))
        .collect();
    assert_eq!(columns, ["A phone", "B B", "C C", "F F"]);
    let read = read_tame(b"phone,B\n13800138000,a,b\n", &mapped(&[("C", "name")])).unwrap();
    assert_eq!(told(&read), ["2 +8613800138000 b"]);
    let clash = read_tame(b"phone,C\n13800138000,a,b\n", &asked()).unwrap();
    let custom = &clash.1[0].lead.as_ref().unwrap().lead.custom;
    assert_eq!((&custom["C"], &custom["C C"]), (&"a".into(), &"b".into()));
}

#[test]
fn a_letter_no_cell_has_is_no_column() {
    let told = read_tame(b"phone,a,b,c\n13800138000,x\n", &mapped(&[("Z", "name")]));
    assert_eq!(told.unwrap_err(), SheetError::NoSuchColumn("Z".into()));
}

#[test]
fn names_and_batches_that_are_too_long_are_not_cut() {
    let (name, batch) = ("名".repeat(100), "b".repeat(64));
    let text = format!(
        "name,phone,batch\n{name},13800138000,{batch}\n{name}x,13800138001,\nx,13800138002,{batch}b\n"
    );
    let (_, rows) = read_tame(text.as_bytes(), &asked()).unwrap();
    let lead = rows[0].lead.as_ref().unwrap();
    assert_eq!((&lead.lead.name, &lead.batch), (&name, &Some(batch)));
    for (row, column, detail) in [
        (1, "name", "more than 100 characters"),
        (2, "batch", "more than 64 characters"),
    ] {
        let fault = rows[row].lead.as_ref().unwrap_err();
        assert_eq!(
            (&*fault.column, &*fault.code, &*fault.detail),
            (column, "too_long", detail)
        );
    }
}

#[test]
fn more_rows_than_allowed_are_refused_whole() {
    let rows = |n: u32| {
        let lines = (0..n).map(|n| format!("1380013{n:04}\n"));
        format!("phone\n{}", lines.collect::<String>())
    };
    assert_eq!(
        read_tame(rows(100).as_bytes(), &asked()).unwrap().0.rows,
        100
    );
    assert_eq!(
        read_tame(rows(101).as_bytes(), &asked()).unwrap_err(),
        SheetError::TooManyRows(100)
    );
}

#[test]
fn an_empty_workbook_and_one_without_a_phone_are_told_apart() {
    assert_eq!(
        read_tame(&sheet(|_| {}), &asked()).unwrap_err(),
        SheetError::NoRows
    );
    let unnamed = sheet(|s| texts(s, &[&["who"], &["x"]]));
    assert_eq!(
        read_tame(&unnamed, &asked()).unwrap_err(),
        SheetError::NoPhoneColumn(vec!["who".into()])
    );
}

#[test]
fn the_template_file_can_be_imported() {
    for format in [Format::Csv, Format::Xlsx] {
        let bytes = template(format, vec!["城市".into(), "=x".into()]).unwrap();
        let (found, rows) = read_tame(&bytes, &asked()).unwrap();
        assert!(rows.is_empty());
        let holds: Vec<_> = found.columns.iter().map(|c| c.holds.as_str()).collect();
        assert_eq!(holds, ["name", "phone", "batch", "城市", "=x"]);
    }
}
