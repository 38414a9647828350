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
