//! The demo's hands: it sets its enterprise up through the REST API, as a newcomer would.

use anyhow::{Context, Result, bail};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// Uses the set-up link and signs in as the administrator it creates.
    pub async fn set_up(link: &str, enterprise: Value, password: &str) -> Result<(Api, Value)> {
        let (base, token) = link
            .split_once("/setup?token=")
            .context("the set-up link has no token")?;
        let mut api = Api {
            http: client()?,
            base: format!("{base}/api/v1"),
            token: String::new(),
        };
        let slug = enterprise["slug"].clone();
        let setup = json!({ "token": token, "enterprise": enterprise, "name": "Demo", "password": password });
        let done = api.post("/setup", &setup).await?;
        let login = json!({ "login": slug, "password": password });
        let session = api.post("/sessions", &login).await?;
        api.token = text(&session, "token")?;
        Ok((api, done))
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send(self.http.get(self.url(path)), path).await
    }
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.http.post(self.url(path)).json(body), path)
            .await
    }
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.http.patch(self.url(path)).json(body), path)
            .await
    }

    /// A file with further fields, as forms send it.
    pub async fn upload(
        &self,
        path: &str,
        name: &str,
        bytes: Vec<u8>,
        fields: &[(&'static str, String)],
    ) -> Result<Value> {
        let mut form = Form::new();
        for (key, value) in fields {
            form = form.text(*key, value.clone());
        }
        form = form.part("file", Part::bytes(bytes).file_name(name.to_owned()));
        self.send(self.http.post(self.url(path)).multipart(form), path)
            .await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Value> {
        let answer = request.bearer_auth(&self.token).send().await?;
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
}

fn client() -> Result<reqwest::Client> {
    // Loopback only: a proxy of the environment must not stand between.
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

pub fn text(value: &Value, key: &str) -> Result<String> {
    let found = value[key].as_str().map(str::to_owned);
    found.with_context(|| format!("the API's answer has no `{key}`: {value}"))
}
