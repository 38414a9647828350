//! The languages refusals are told in. Titles are all translated (`problem`); of details and fixes, the sentences below are.
//! What is not in the table (a parser's own words, a name) stays as it is: better one English sentence than a wrong one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use std::convert::Infallible;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    English,
    Simplified,
    Traditional,
}

impl<S: Send + Sync> FromRequestParts<S> for Tongue {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Tongue::asked(parts.headers.get(header::ACCEPT_LANGUAGE)))
    }
}

impl Tongue {
    /// What findings about a template are told in; they know one Chinese.
    pub fn of_template(self) -> bots::template::Language {
        match self {
            Tongue::English => bots::template::Language::En,
            Tongue::Simplified | Tongue::Traditional => bots::template::Language::Zh,
        }
    }

    pub fn tag(self) -> &'static str {
        match self {
            Tongue::English => "en",
            Tongue::Simplified => "zh-CN",
            Tongue::Traditional => "zh-TW",
        }
    }

    /// The language of ours with the greatest weight (RFC 9110 §12.5.4); the first of equals, English without one.
    pub fn asked(header: Option<&HeaderValue>) -> Tongue {
        let text = header
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let mut best = (0.0, Tongue::English);
        for part in text.split(',') {
            let mut pieces = part.split(';').map(str::trim);
            let tag = pieces.next().unwrap_or_default().to_ascii_lowercase();
            let weight = pieces
                .find_map(|piece| piece.strip_prefix("q="))
                .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            if let Some(tongue) = Tongue::of(&tag)
                && weight > best.0
            {
                best = (weight, tongue);
            }
        }
        best.1
    }

    fn of(tag: &str) -> Option<Tongue> {
        let mut parts = tag.split('-');
        match parts.next() {
            Some("en") => Some(Tongue::English),
            Some("zh") if parts.any(|part| matches!(part, "tw" | "hk" | "mo" | "hant")) => {
                Some(Tongue::Traditional)
            }
            Some("zh") => Some(Tongue::Simplified),
            _ => None,
        }
    }
}

/// A sentence in a language, where the table has it.
pub fn put(text: String, language: Tongue) -> String {
    if language == Tongue::English {
        return text;
    }
    let found = SENTENCES
        .iter()
        .find_map(|[english, simplified, traditional]| {
            let held = held(english, &text)?;
            let pattern = match language {
                Tongue::Traditional => traditional,
                _ => simplified,
            };
            Some(pattern.replacen("{}", held, 1))
        });
    found.unwrap_or(text)
}

/// What stands for the `{}` of a pattern; nothing when it has none.
fn held<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
    match pattern.split_once("{}") {
        None => (pattern == text).then_some(""),
        Some((before, after)) => text.strip_prefix(before)?.strip_suffix(after),
    }
}

/// English with at most one `{}`, simplified Chinese, traditional Chinese.
const SENTENCES: &[[&str; 3]] = &[
    ["this needs `{}`", "需要权限 `{}`", "需要權限 `{}`"],
    ["must not be empty", "不能为空", "不能為空"],
    ["at most {} characters", "最多 {} 个字符", "最多 {} 個字元"],
    [
        "control characters are not allowed",
        "不能含有控制字符",
        "不能含有控制字元",
    ],
    ["at least 8 characters", "至少 8 个字符", "至少 8 個字元"],
    ["is taken already", "已被占用", "已被占用"],
    ["is not acceptable", "不可接受", "不可接受"],
    ["it changed in the meantime", "期间已被修改", "期間已被修改"],
    [
        "read it again and repeat the change",
        "请重新读取后再修改",
        "請重新讀取後再修改",
    ],
    [
        "something still refers to it",
        "仍有其他数据引用它",
        "仍有其他資料引用它",
    ],
    ["there is no such thing", "不存在", "不存在"],
    ["is no id", "不是有效编号", "不是有效編號"],
    ["is given twice", "重复给出", "重複給出"],
    ["lies in the past", "时间已过", "時間已過"],
    ["at most {}", "最多 {}", "最多 {}"],
    ["one of {}", "可选:{}", "可選:{}"],
    [
        "one or more of {}",
        "可选一个或多个:{}",
        "可選一個或多個:{}",
    ],
    ["this list knows {}", "此列表可用:{}", "此清單可用:{}"],
    ["true or false", "true 或 false", "true 或 false"],
    [
        "take next_cursor from an answer to the same sort and filters",
        "请使用同一排序和筛选条件下返回的 next_cursor",
        "請使用同一排序和篩選條件下回傳的 next_cursor",
    ],
    [
        "a moment is written as 2026-11-21T10:50:00+08:00",
        "时间写作 2026-11-21T10:50:00+08:00",
        "時間寫作 2026-11-21T10:50:00+08:00",
    ],
    [
        "an IANA zone, such as Asia/Shanghai",
        "IANA 时区,例如 Asia/Shanghai",
        "IANA 時區,例如 Asia/Shanghai",
    ],
    [
        "a calling code, such as 86",
        "国家代码,例如 86",
        "國碼,例如 86",
    ],
    [
        "spans lie within a day and are not empty",
        "时段须在一天之内且不能为空",
        "時段須在一天之內且不能為空",
    ],
    [
        "2 to 32 lower-case letters, digits and dashes",
        "2 到 32 个小写字母、数字或短横线",
        "2 到 32 個小寫字母、數字或短橫線",
    ],
    [
        "1 to 32 lower-case letters, digits and dashes",
        "1 到 32 个小写字母、数字或短横线",
        "1 到 32 個小寫字母、數字或短橫線",
    ],
    [
        "2 to 64 letters, digits, dots and dashes",
        "2 到 64 个字母、数字、点或短横线",
        "2 到 64 個字母、數字、點或短橫線",
    ],
    ["2 to 8 digits", "2 到 8 位数字", "2 到 8 位數字"],
    [
        "only printable ASCII without spaces: devices do not agree on anything else",
        "只能用不含空格的可打印 ASCII 字符:设备对其他字符的处理各不相同",
        "只能用不含空格的可列印 ASCII 字元:設備對其他字元的處理各不相同",
    ],
    ["this is not the password", "原密码不正确", "原密碼不正確"],
    ["a positive amount", "金额须大于零", "金額須大於零"],
    ["its trunk is disabled", "其线路已停用", "其線路已停用"],
    [
        "ask the platform's administrator to approve it",
        "请平台管理员审核通过",
        "請平台管理員審核通過",
    ],
    [
        "no such call is up",
        "没有这个正在进行的通话",
        "沒有這個進行中的通話",
    ],
    [
        "nobody changes their own role or disables themselves",
        "不能修改自己的角色或停用自己",
        "不能修改自己的角色或停用自己",
    ],
    [
        "nobody bans their own enterprise",
        "不能禁用自己的企业",
        "不能禁用自己的企業",
    ],
    [
        "this is an administrator of the platform",
        "这是平台管理员",
        "這是平台管理員",
    ],
    [
        "a key without a scope opens nothing",
        "没有权限范围的密钥什么也打不开",
        "沒有權限範圍的金鑰什麼也打不開",
    ],
    [
        "there is no such scope",
        "没有这个权限范围",
        "沒有這個權限範圍",
    ],
    [
        "the key in use does not have this itself",
        "当前密钥自身没有此权限",
        "目前金鑰自身沒有此權限",
    ],
    [
        "send the body with Content-Type: application/json",
        "请以 Content-Type: application/json 发送",
        "請以 Content-Type: application/json 傳送",
    ],
    [
        "send a multipart/form-data body with the file in the field `file`",
        "请以 multipart/form-data 发送,文件放在字段 `file`",
        "請以 multipart/form-data 傳送,檔案放在欄位 `file`",
    ],
    [
        "the form has no field `file`",
        "表单缺少字段 `file`",
        "表單缺少欄位 `file`",
    ],
    [
        "give one of lead_ids, batch and all_listed",
        "请在 lead_ids、batch、all_listed 中给出一个",
        "請在 lead_ids、batch、all_listed 中給出一個",
    ],
    [
        "1 to 1000 leads at a time",
        "每次 1 到 1000 条",
        "每次 1 到 1000 筆",
    ],
    [
        "1 to 255 printable ASCII characters",
        "1 到 255 个可打印 ASCII 字符",
        "1 到 255 個可列印 ASCII 字元",
    ],
    [
        "look whether it is done; if it is not, send it with another Idempotency-Key",
        "请先确认是否已完成;若未完成,换一个 Idempotency-Key 重新发送",
        "請先確認是否已完成;若未完成,換一個 Idempotency-Key 重新傳送",
    ],
    [
        "give each request a key of its own",
        "每个请求请使用各自的 Idempotency-Key",
        "每個請求請使用各自的 Idempotency-Key",
    ],
    ["missing field `{}`", "缺少字段 `{}`", "缺少欄位 `{}`"],
    ["{} is not offered here", "此处不提供 {}", "此處不提供 {}"],
    [
        "sign in, or send Authorization: Bearer with a session's token or an API key",
        "请登录,或在 Authorization: Bearer 中给出会话令牌或 API 密钥",
        "請登入,或在 Authorization: Bearer 中給出工作階段權杖或 API 金鑰",
    ],
    [
        "{} imports are waiting already",
        "已有 {} 个导入在排队",
        "已有 {} 個匯入在排隊",
    ],
    [
        "wait for one of them to finish, or cancel it",
        "请等待其中之一完成,或取消它",
        "請等待其中之一完成,或取消它",
    ],
    ["it is over already", "已经结束", "已經結束"],
    [
        "the campaign is not there any more",
        "外呼任务已不存在",
        "外呼任務已不存在",
    ],
    [
        "the database does not answer",
        "数据库没有响应",
        "資料庫沒有回應",
    ],
    [
        "upload the same file again: rows that are in stay in",
        "请重新上传同一文件:已导入的行会保留",
        "請重新上傳同一檔案:已匯入的列會保留",
    ],
    [
        "a file of ours could not be read or written",
        "系统文件无法读写",
        "系統檔案無法讀寫",
    ],
    [
        "look at the disk with `huying doctor`, then upload the same file again",
        "请用 `huying doctor` 检查磁盘,再重新上传同一文件",
        "請用 `huying doctor` 檢查磁碟,再重新上傳同一檔案",
    ],
    ["the file is empty", "文件是空的", "檔案是空的"],
    [
        "this is a web page named like a spreadsheet",
        "这是改名为表格的网页",
        "這是改名為試算表的網頁",
    ],
    [
        "this is XML, not a workbook",
        "这是 XML 文件,不是工作簿",
        "這是 XML 檔案,不是活頁簿",
    ],
    [
        "this is a workbook of a kind older than Excel 5",
        "工作簿的格式早于 Excel 5",
        "活頁簿的格式早於 Excel 5",
    ],
    [
        "this is a binary workbook (.xlsb)",
        "这是二进制工作簿(.xlsb)",
        "這是二進位活頁簿(.xlsb)",
    ],
    [
        "the workbook is protected by a password",
        "工作簿有密码保护",
        "活頁簿有密碼保護",
    ],
    [
        "this is neither a workbook nor a text file with columns",
        "既不是工作簿,也不是分列的文本文件",
        "既不是活頁簿,也不是分欄的文字檔",
    ],
    [
        "the workbook unpacks to more than {} MB",
        "工作簿解压后超过 {} MB",
        "活頁簿解壓後超過 {} MB",
    ],
    [
        "the workbook is damaged: {}",
        "工作簿已损坏:{}",
        "活頁簿已損壞:{}",
    ],
    [
        "reading it takes more memory than is allowed",
        "读取所需内存超过上限",
        "讀取所需記憶體超過上限",
    ],
    [
        "reading it takes longer than is allowed",
        "读取时间超过上限",
        "讀取時間超過上限",
    ],
    ["the text is not {}", "文本不是 {} 编码", "文字不是 {} 編碼"],
    [
        "a quoted field that begins near line {} does not end",
        "第 {} 行附近开始的引号没有结束",
        "第 {} 行附近開始的引號沒有結束",
    ],
    [
        "the workbook has no sheet `{}`",
        "工作簿没有名为 `{}` 的工作表",
        "活頁簿沒有名為 `{}` 的工作表",
    ],
    [
        "there are no rows in it",
        "里面没有数据行",
        "裡面沒有資料列",
    ],
    [
        "no column is headed 电话, 手机 or phone",
        "没有表头为“电话”“手机”或 phone 的列",
        "沒有標題為「電話」「手機」或 phone 的欄",
    ],
    [
        "more than one column is headed for the {}",
        "有多列被视为:{}",
        "有多欄被視為:{}",
    ],
    [
        "the mapping names `{}`, and no column is called that",
        "映射中的 `{}` 不是任何一列的名称",
        "對應中的 `{}` 不是任何一欄的名稱",
    ],
    [
        "the sheet has more than {} columns",
        "表格超过 {} 列",
        "表格超過 {} 欄",
    ],
    [
        "the sheet has more than {} rows",
        "表格超过 {} 行",
        "表格超過 {} 列",
    ],
    [
        "open it in a spreadsheet program and save it as Excel workbook (.xlsx)",
        "请用表格软件打开并另存为 Excel 工作簿(.xlsx)",
        "請用試算表軟體開啟並另存為 Excel 活頁簿(.xlsx)",
    ],
    [
        "save it without a password and upload that",
        "请去掉密码另存后上传",
        "請移除密碼另存後上傳",
    ],
    [
        "copy the columns that matter into a new file, or split it into several",
        "请把需要的列复制到新文件,或拆成几个文件",
        "請把需要的欄複製到新檔案,或拆成幾個檔案",
    ],
    [
        "copy the columns that matter into a new file and upload that",
        "请把需要的列复制到新文件后上传",
        "請把需要的欄複製到新檔案後上傳",
    ],
    [
        "save it again and upload the new file",
        "请重新保存后上传新文件",
        "請重新儲存後上傳新檔案",
    ],
    [
        "save it as CSV UTF-8, or name the encoding in the field `encoding` (gb18030, big5, utf-16le …)",
        "请另存为 CSV UTF-8,或在字段 `encoding` 中写明编码(gb18030、big5、utf-16le 等)",
        "請另存為 CSV UTF-8,或在欄位 `encoding` 中寫明編碼(gb18030、big5、utf-16le 等)",
    ],
    [
        "close the quotation mark in that line, or save it as .xlsx",
        "请补上该行的引号,或另存为 .xlsx",
        "請補上該行的引號,或另存為 .xlsx",
    ],
    [
        "name one of its sheets, or leave `sheet` out",
        "请写其中一个工作表的名称,或不填 `sheet`",
        "請寫其中一個工作表的名稱,或不填 `sheet`",
    ],
    [
        "name columns by their heading or their letter (A, B …)",
        "请用表头或列标(A、B 等)指定列",
        "請用標題或欄標(A、B 等)指定欄",
    ],
    [
        "say which column holds what: mapping={\"B\":\"phone\"}, or start from the template file: GET /api/v1/leads/import-template.xlsx",
        "请指定各列的含义:mapping={\"B\":\"phone\"},或使用模板文件:GET /api/v1/leads/import-template.xlsx",
        "請指定各欄的含義:mapping={\"B\":\"phone\"},或使用範本檔案:GET /api/v1/leads/import-template.xlsx",
    ],
    [
        "start from the template file: GET /api/v1/leads/import-template.xlsx",
        "请使用模板文件:GET /api/v1/leads/import-template.xlsx",
        "請使用範本檔案:GET /api/v1/leads/import-template.xlsx",
    ],
    [
        "the formula was never calculated: open the file, save it and upload it again",
        "公式没有计算过:请打开文件,保存后重新上传",
        "公式沒有計算過:請開啟檔案,儲存後重新上傳",
    ],
    [
        "more than {} characters",
        "超过 {} 个字符",
        "超過 {} 個字元",
    ],
    ["the row has no number", "这一行没有号码", "這一列沒有號碼"],
    [
        "{} was shortened by a spreadsheet program: format the column as text",
        "{} 被表格软件缩写:请把该列设为文本格式",
        "{} 被試算表軟體縮寫:請把該欄設為文字格式",
    ],
    ["{} is no number", "{} 不是号码", "{} 不是號碼"],
    ["the number is empty", "号码为空", "號碼為空"],
    ["{} is no digit", "{} 不是数字", "{} 不是數字"],
    [
        "a number has 7 to 15 digits with its country code, this one {}",
        "带国家代码的号码为 7 至 15 位,此号码为 {} 位",
        "帶國家代碼的號碼為 7 至 15 位,此號碼為 {} 位",
    ],
    [
        "{} is an emergency or short number, not a subscriber",
        "{} 是紧急或短号码,不是用户号码",
        "{} 是緊急或短號碼,不是用戶號碼",
    ],
    ["the number is there already", "号码已存在", "號碼已存在"],
    [
        "no column is headed 电话, 手机 or phone; there are: {}",
        "没有表头为“电话”“手机”或 phone 的列;现有:{}",
        "沒有標題為「電話」「手機」或 phone 的欄;現有:{}",
    ],
    [
        "the field in line {} is longer than 64 kB",
        "第 {} 行的字段超过 64 kB",
        "第 {} 行的欄位超過 64 kB",
    ],
    [
        "shorten it: a cell holds at most 1000 characters",
        "请缩短:每个单元格最多 1000 个字符",
        "請縮短:每個儲存格最多 1000 個字元",
    ],
    ["the file is larger than {}", "文件超过 {}", "檔案超過 {}"],
    ["a form field is too large", "表单字段过大", "表單欄位過大"],
    ["is not UTF-8", "不是 UTF-8 编码", "不是 UTF-8 編碼"],
    [
        "the server stopped while it was under way",
        "导入进行中服务曾停止",
        "匯入進行中服務曾停止",
    ],
    [
        "the form did not arrive whole",
        "表单没有完整送达",
        "表單沒有完整送達",
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Tongue {
        Tongue::asked(Some(&HeaderValue::from_str(text).unwrap()))
    }

    #[test]
    fn the_language_with_the_greatest_weight_is_spoken() {
        assert_eq!(asked("zh-CN,zh;q=0.9,en;q=0.8"), Tongue::Simplified);
        assert_eq!(asked("zh-TW,zh;q=0.9"), Tongue::Traditional);
        assert_eq!(asked("zh-Hant-HK"), Tongue::Traditional);
        assert_eq!(asked("fr, en;q=0.2, zh;q=0.7"), Tongue::Simplified);
        assert_eq!(asked("de"), Tongue::English);
        assert_eq!(asked("zh;q=0"), Tongue::English);
        assert_eq!(Tongue::asked(None), Tongue::English);
    }

    #[test]
    fn a_sentence_keeps_what_it_names() {
        let needs = "this needs `calls:read`".to_owned();
        assert_eq!(
            put(needs.clone(), Tongue::Simplified),
            "需要权限 `calls:read`"
        );
        assert_eq!(put(needs.clone(), Tongue::English), needs);
        assert_eq!(put("gibberish".into(), Tongue::Traditional), "gibberish");
    }

    #[test]
    fn translations_have_the_gaps_of_their_sentence() {
        for [english, simplified, traditional] in SENTENCES {
            let gaps = english.matches("{}").count();
            assert!(gaps <= 1, "{english}");
            assert_eq!(simplified.matches("{}").count(), gaps, "{english}");
            assert_eq!(traditional.matches("{}").count(), gaps, "{english}");
        }
    }
}
