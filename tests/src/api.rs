//! The REST API as a stranger uses it.

use anyhow::{Context, Result, bail};
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// Signs in at `base` (`http://127.0.0.1:PORT`).
    pub async fn sign_in(base: &str, login: &str, password: &str) -> Result<Api> {
        crate::one_tls_provider();
        // Loopback only: a proxy of the environment must not stand between.
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut api = Api {
            http,
            base: format!("{base}/api/v1"),
            token: String::new(),
        };
        let session = api
            .post("/sessions", json!({ "login": login, "password": password }))
            .await?;
        api.token = text(&session, "token")?;
        Ok(api)
    }

    /// Uses the set-up link, then signs in as the administrator it made; also the enterprise's id.
    pub async fn set_up(link: &str, slug: &str, password: &str) -> Result<(Api, String)> {
        crate::one_tls_provider();
        let (base, token) = link.split_once("/setup?token=").context("a set-up link")?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let nobody = Api {
            http,
            base: format!("{base}/api/v1"),
            token: String::new(),
        };
        let enterprise = json!({ "slug": slug, "name": "Acme" });
        let ask = json!({ "token": token, "enterprise": enterprise, "name": "Ann", "password": password });
        let done = nobody.post("/setup", ask).await?;
        Ok((
            Api::sign_in(base, slug, password).await?,
            text(&done, "tenant_id")?,
        ))
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// What stands beside `/api/v1`, such as `/readyz`: status and body, whatever they are.
    pub async fn beside(&self, path: &str) -> Result<(u16, Value)> {
        let base = self.base.trim_end_matches("/api/v1");
        let answer = self.http.get(format!("{base}{path}")).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }
    pub async fn get(&self, path: &str) -> Result<Value> {
        json_of(self.request("GET", path), path).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        json_of(self.request("POST", path).json(&body), path).await
    }
    pub async fn patch(&self, path: &str, body: Value) -> Result<Value> {
        json_of(self.request("PATCH", path).json(&body), path).await
    }
    pub async fn upload(
        &self,
        path: &str,
        name: &str,
        bytes: Vec<u8>,
        fields: &[(&str, &str)],
    ) -> Result<Value> {
        let mut form = Form::new();
        for (key, value) in fields {
            form = form.text((*key).to_owned(), (*value).to_owned());
        }
        form = form.part("file", Part::bytes(bytes).file_name(name.to_owned()));
        json_of(self.request("POST", path).multipart(form), path).await
    }

    /// `id` of what a POST created.
    pub async fn create(&self, path: &str, body: Value) -> Result<String> {
        text(&self.post(path, body).await?, "id")
    }

    /// Every row of a list, page after page.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{mark}limit=200{cursor}")).await?;
            rows.extend(
                page["data"]
                    .as_array()
                    .context("a list has `data`")?
                    .iter()
                    .cloned(),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(rows),
            }
        }
    }

    /// The record of a call, once it is written: that is a moment after its last event.
    pub async fn record(&self, call: &str) -> Result<Value> {
        let path = format!("/calls/{call}");
        crate::eventually("the call's record", crate::SOON, async || {
            let answer = self.request("GET", &path).send().await?;
            match answer.status() {
                StatusCode::OK => Ok(Some(answer.json().await?)),
                StatusCode::NOT_FOUND => Ok(None),
                status => bail!("{status} to {path}"),
            }
        })
        .await
    }
}

async fn json_of(request: RequestBuilder, path: &str) -> Result<Value> {
    let answer: Response = request.send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!("the API answered {status} to {path}: {body}");
    }
    Ok(if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&body)?
    })
}

pub fn text(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("no `{key}` in {value}"))
}
