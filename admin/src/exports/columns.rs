//! Which columns each list has as a file: where they stand in a row of the list, and what they are called.

use crate::tongue::Tongue;
use Holds::*;

/// What a cell is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A text, a number or a truth, as it is; of several, all.
    Plain,
    /// A moment, shown on the enterprise's clock.
    Moment,
    /// An object of the enterprise's own columns (or a list of `heading` and `text`), one column for each.
    Spread,
}

pub struct Column {
    /// JSON pointer into a row.
    pub at: &'static str,
    pub holds: Holds,
    /// English, simplified, traditional.
    pub titles: [&'static str; 3],
}

impl Column {
    pub fn title(&self, tongue: Tongue) -> &'static str {
        let [english, simplified, traditional] = self.titles;
        match tongue {
            Tongue::English => english,
            Tongue::Simplified => simplified,
            Tongue::Traditional => traditional,
        }
    }
}

pub struct List {
    /// Route of the list.
    pub path: &'static str,
    /// Of the file.
    pub name: &'static str,
    pub columns: &'static [Column],
}

const fn plain(at: &'static str, titles: [&'static str; 3]) -> Column {
    let holds = Plain;
    Column { at, holds, titles }
}
const fn moment(at: &'static str, titles: [&'static str; 3]) -> Column {
    let holds = Moment;
    Column { at, holds, titles }
}
const fn spread(at: &'static str) -> Column {
    Column {
        at,
        holds: Spread,
        titles: ["Other columns", "其他列", "其他欄"],
    }
}

const ID: Column = plain("/id", ["Id", "编号", "編號"]);
const NAME: Column = plain("/name", ["Name", "姓名", "姓名"]);
const TITLE: Column = plain("/name", ["Name", "名称", "名稱"]);
const NUMBER: Column = plain("/number", ["Phone", "电话", "電話"]);
const STATE: Column = plain("/state", ["State", "状态", "狀態"]);
const NOTE: Column = plain("/note", ["Note", "备注", "備註"]);
const CAMPAIGN: Column = plain("/campaign_id", ["Campaign id", "任务编号", "任務編號"]);
const CREATED: Column = moment("/created_at", ["Created", "创建时间", "建立時間"]);
const UPDATED: Column = moment("/updated_at", ["Changed", "更新时间", "更新時間"]);
const STARTED: Column = moment("/started_at", ["Started", "开始时间", "開始時間"]);
const ANSWERED: Column = moment("/answered_at", ["Answered", "接通时间", "接通時間"]);
const FINISHED: Column = moment("/finished_at", ["Finished", "结束时间", "結束時間"]);
const DIRECTION: Column = plain("/direction", ["Direction", "方向", "方向"]);
const CALLER: Column = plain("/caller", ["Caller", "主叫", "主叫"]);
const CALLEE: Column = plain("/callee", ["Callee", "被叫", "被叫"]);
const LEAD: Column = plain("/lead_id", ["Lead id", "数据编号", "資料編號"]);
const DISABLED: Column = plain("/disabled", ["Disabled", "已停用", "已停用"]);
const USERNAME: Column = plain("/username", ["User name", "注册账号", "註冊帳號"]);
const DECIDED: Column = moment("/decided_at", ["Decided", "审核时间", "審核時間"]);
const TENANT: Column = plain("/tenant_id", ["Enterprise id", "企业编号", "企業編號"]);

pub const LISTS: &[List] = &[
    List {
        path: "/leads",
        name: "leads",
        columns: &[
            NAME,
            NUMBER,
            plain("/batch", ["Batch", "批次", "批次"]),
            spread("/custom"),
            STATE,
            plain("/rule", ["Rule", "限制规则", "限制規則"]),
            plain("/grade", ["Grade", "等级", "等級"]),
            plain("/attempts", ["Attempts", "拨打次数", "撥打次數"]),
            moment("/due_at", ["Due", "下次拨打", "下次撥打"]),
            CAMPAIGN,
            plain(
                "/last_call_id",
                ["Last call id", "最近通话编号", "最近通話編號"],
            ),
            CREATED,
            UPDATED,
            ID,
        ],
    },
    List {
        path: "/leads/imports",
        name: "imports",
        columns: &[
            CREATED,
            plain("/file_name", ["File", "文件", "檔案"]),
            plain("/batch", ["Batch", "批次", "批次"]),
            STATE,
            plain("/dry_run", ["Dry run", "试运行", "試運行"]),
            plain("/rows", ["Rows", "行数", "行數"]),
            plain("/inserted", ["Inserted", "新增", "新增"]),
            plain("/updated", ["Updated", "更新", "更新"]),
            plain("/rejected", ["Rejected", "拒绝", "拒絕"]),
            plain("/error/detail", ["Error", "错误", "錯誤"]),
            FINISHED,
            CAMPAIGN,
            ID,
        ],
    },
    List {
        path: "/leads/imports/{id}/rejects",
        name: "rejected-rows",
        columns: &[
            spread("/cells"),
            plain("/row", crate::sheet::REJECT_HEADINGS[0]),
            plain("/column", crate::sheet::REJECT_HEADINGS[1]),
            plain("/code", crate::sheet::REJECT_HEADINGS[2]),
            plain("/detail", crate::sheet::REJECT_HEADINGS[3]),
        ],
    },
    List {
        path: "/calls",
        name: "calls",
        columns: &[
            STARTED,
            DIRECTION,
            CALLER,
            CALLEE,
            plain("/lead_name", ["Name", "姓名", "姓名"]),
            plain("/disposition/kind", ["Result", "结果", "結果"]),
            plain("/disposition/cause", ["Cause", "未接原因", "未接原因"]),
            plain("/grade", ["Grade", "等级", "等級"]),
            plain("/grade_name", ["Grade name", "等级名称", "等級名稱"]),
            plain("/labels", ["Labels", "标签", "標籤"]),
            moment("/ringing_at", ["Ringing", "振铃时间", "響鈴時間"]),
            ANSWERED,
            moment("/ended_at", ["Ended", "结束时间", "結束時間"]),
            plain("/talk_ms", ["Talk, ms", "通话时长(毫秒)", "通話時長(毫秒)"]),
            plain(
                "/charge_minor",
                [
                    "Charge, minor units",
                    "费用(最小货币单位)",
                    "費用(最小貨幣單位)",
                ],
            ),
            plain("/termination/by", ["Ended by", "挂断方", "掛斷方"]),
            plain(
                "/termination/sip_code",
                ["SIP code", "SIP 代码", "SIP 代碼"],
            ),
            plain("/termination/q850", ["Q.850", "Q.850", "Q.850"]),
            CAMPAIGN,
            LEAD,
            plain("/extension_id", ["Extension id", "分机编号", "分機編號"]),
            plain("/trunk_id", ["Trunk id", "中继编号", "中繼編號"]),
            plain("/recording_url", ["Recording", "录音", "錄音"]),
            ID,
        ],
    },
    List {
        path: "/live-calls",
        name: "live-calls",
        columns: &[
            STARTED, ANSWERED, DIRECTION, CALLER, CALLEE, CAMPAIGN, LEAD, ID,
        ],
    },
    List {
        path: "/ledger",
        name: "ledger",
        columns: &[
            moment("/at", ["Time", "时间", "時間"]),
            plain("/kind", ["Kind", "类型", "類型"]),
            plain(
                "/available_minor",
                [
                    "Amount, minor units",
                    "金额(最小货币单位)",
                    "金額(最小貨幣單位)",
                ],
            ),
            plain("/call_id", ["Call id", "通话编号", "通話編號"]),
            plain("/reference", ["Reference", "凭证", "憑證"]),
            NOTE,
            plain("/actor", ["By", "操作者", "操作者"]),
            ID,
        ],
    },
    List {
        path: "/do-not-call",
        name: "do-not-call",
        columns: &[
            NUMBER,
            plain("/list", ["List", "名单", "名單"]),
            plain("/by", ["Source", "来源", "來源"]),
            moment("/since", ["Since", "加入时间", "加入時間"]),
            moment("/until", ["Until", "到期时间", "到期時間"]),
            NOTE,
            CAMPAIGN,
        ],
    },
    List {
        path: "/decisions",
        name: "decisions",
        columns: &[
            moment("/at", ["Time", "时间", "時間"]),
            NUMBER,
            plain("/allowed", ["Allowed", "允许", "允許"]),
            plain("/rule", ["Rule", "限制规则", "限制規則"]),
            plain("/detail", ["Because", "原因", "原因"]),
            moment("/next_at", ["Asked again", "下次判断", "下次判斷"]),
            CAMPAIGN,
            LEAD,
            plain("/call_id", ["Call id", "通话编号", "通話編號"]),
            ID,
        ],
    },
    List {
        path: "/grade-rules",
        name: "grade-rules",
        columns: &[
            plain("/version", ["Version", "版本", "版本"]),
            CREATED,
            spread("/thresholds"),
        ],
    },
    List {
        path: "/audit",
        name: "changes",
        columns: &[
            moment("/at", ["Time", "时间", "時間"]),
            plain("/actor", ["By", "操作者", "操作者"]),
            plain("/actor_id", ["By, id", "操作者编号", "操作者編號"]),
            plain("/action", ["Change", "操作", "操作"]),
            plain("/subject_id", ["Changed id", "对象编号", "對象編號"]),
            plain("/before", ["Before", "修改前", "修改前"]),
            plain("/after", ["After", "修改后", "修改後"]),
            ID,
        ],
    },
    List {
        path: "/campaigns",
        name: "campaigns",
        columns: &[
            TITLE,
            STATE,
            plain("/lines", ["Lines", "线路数", "線路數"]),
            plain(
                "/max_attempts",
                ["Attempts at most", "最多拨打次数", "最多撥打次數"],
            ),
            plain("/template_id", ["Template id", "模板编号", "模板編號"]),
            CREATED,
            STARTED,
            FINISHED,
            ID,
        ],
    },
    List {
        path: "/extensions",
        name: "extensions",
        columns: &[
            plain("/number", ["Extension", "分机号码", "分機號碼"]),
            NAME,
            USERNAME,
            plain("/registered", ["Registered", "已注册", "已註冊"]),
            DISABLED,
            CREATED,
            UPDATED,
            ID,
        ],
    },
    List {
        path: "/trunks",
        name: "trunks",
        columns: &[
            TITLE,
            USERNAME,
            STATE,
            plain("/max_concurrent", ["Calls at once", "最大并发", "最大並發"]),
            plain(
                "/calls_per_second",
                ["Calls per second", "每秒呼叫", "每秒呼叫"],
            ),
            plain("/codecs", ["Codecs", "编解码", "編解碼"]),
            CREATED,
            UPDATED,
            ID,
        ],
    },
    List {
        path: "/caller-numbers",
        name: "caller-numbers",
        columns: &[NUMBER, STATE, NOTE, CREATED, DECIDED, ID],
    },
    List {
        path: "/templates",
        name: "templates",
        columns: &[
            TITLE,
            plain("/version", ["Version", "版本", "版本"]),
            CREATED,
            UPDATED,
            ID,
        ],
    },
    List {
        path: "/templates/{id}/prompts",
        name: "prompts",
        columns: &[
            TITLE,
            plain("/duration_ms", ["Length, ms", "时长(毫秒)", "時長(毫秒)"]),
            plain("/used_by", ["Used by", "使用处", "使用處"]),
            CREATED,
            ID,
        ],
    },
    List {
        path: "/users",
        name: "users",
        columns: &[
            plain("/login", ["Login", "登录名", "登入名"]),
            NAME,
            plain("/role", ["Role", "角色", "角色"]),
            DISABLED,
            CREATED,
            moment("/last_login_at", ["Last sign-in", "最近登录", "最近登入"]),
            ID,
        ],
    },
    List {
        path: "/api-keys",
        name: "api-keys",
        columns: &[
            TITLE,
            plain("/prefix", ["Begins with", "前缀", "前綴"]),
            plain("/scopes", ["Scopes", "权限", "權限"]),
            CREATED,
            moment("/expires_at", ["Expires", "过期时间", "過期時間"]),
            moment("/last_used_at", ["Last used", "最近使用", "最近使用"]),
            moment("/revoked_at", ["Revoked", "吊销时间", "撤銷時間"]),
            ID,
        ],
    },
    List {
        path: "/platform/tenants",
        name: "enterprises",
        columns: &[
            TITLE,
            plain("/slug", ["Short name", "简称", "簡稱"]),
            plain("/banned", ["Banned", "已禁用", "已停用"]),
            plain("/zone", ["Time zone", "时区", "時區"]),
            plain("/currency", ["Currency", "货币", "貨幣"]),
            plain("/robot_lines", ["Robot lines", "机器人线路", "機器人線路"]),
            plain("/domains", ["Domains", "域名", "網域"]),
            CREATED,
            UPDATED,
            TENANT,
        ],
    },
    List {
        path: "/platform/caller-numbers",
        name: "caller-numbers",
        columns: &[NUMBER, STATE, NOTE, TENANT, CREATED, DECIDED, ID],
    },
];
