//! Who writes the answer: no model, a local one, or an endpoint.

use std::sync::Arc;

use faq_core::generate::{RemoteApi, RemoteModel, RemoteOptions, Resilience, Resilient};
use faq_core::{Answerer, AskOptions, Engine, Prompts};

use super::args::GeneratorArgs;
use super::error::{CliError, Result};

/// The generator that needs no model.
const EXTRACTIVE: &str = "extractive";

impl GeneratorArgs {
    /// Options with the generator that the flags name, else `default`. A local model is
    /// loaded here; an endpoint hears nothing yet.
    pub(super) fn options(&self, engine: &Engine, default: &str) -> Result<AskOptions> {
        let name = self.generator.as_deref().unwrap_or(default);
        let endpoints = Endpoints {
            ollama: var("OLLAMA_URL"),
            openai_key: var("OPENAI_API_KEY"),
        };
        let answerer = answerer(engine, name, self.model.as_deref(), &endpoints)?;
        let mut options = AskOptions {
            answerer,
            tone: self.tone.clone(),
            follow_ups: self.follow_ups.unwrap_or_default(),
            wording: self.wording.unwrap_or_default(),
            ..AskOptions::default()
        };
        if let Some(name) = &self.fallback {
            let fallback = self::answerer(engine, name, None, &endpoints)?;
            options.fallbacks.push(fallback);
        }
        if let Some(path) = &self.prompts {
            options.prompts = Some(Arc::new(Prompts::read(path)?));
        }
        if let Some(tokens) = self.max_tokens {
            options.generate.max_tokens = tokens;
        }
        if let Some(temperature) = self.temperature {
            options.generate.temperature = temperature;
        }
        options.check()?;
        Ok(options)
    }
}

/// How endpoints are reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints {
    /// Where Ollama is.
    pub(super) ollama: Option<String>,
    /// The key of an OpenAI-compatible endpoint.
    pub(super) openai_key: Option<String>,
}

/// The generator that goes by `name`. A local model is loaded here; an endpoint hears nothing
/// yet. `model` says which model of an endpoint is meant.
pub(super) fn answerer(
    engine: &Engine,
    name: &str,
    model: Option<&str>,
    endpoints: &Endpoints,
) -> Result<Answerer> {
    Ok(match place(name.trim(), model, endpoints.ollama.clone())? {
        Place::Nowhere => Answerer::Extractive,
        Place::Here(model) => Answerer::Model(engine.generator(model)?),
        Place::There(options)
            if engine.config().models.is_offline() && !is_this_machine(&options.url) =>
        {
            return Err(CliError::usage(format!(
                "{} is on the network, and --offline forbids the network; name a local model, or \
                 leave --offline out",
                options.url
            )));
        }
        Place::There(mut options) => {
            if options.api == RemoteApi::OpenAi {
                options.key.clone_from(&endpoints.openai_key);
            }
            let endpoint = Arc::new(RemoteModel::new(options));
            Answerer::Model(Arc::new(Resilient::new(endpoint, Resilience::default())))
        }
    })
}

/// Whether there is a generator that goes by `name`. Loads nothing, and asks no endpoint.
pub(super) fn check(engine: &Engine, name: &str, endpoints: &Endpoints) -> Result<()> {
    if let Place::Here(model) = place(name.trim(), None, endpoints.ollama.clone())? {
        engine.config().models.generation(model)?;
    }
    Ok(())
}

/// Whether an address is this machine's own, which no network is needed for.
fn is_this_machine(url: &str) -> bool {
    let address = url.split("//").nth(1).unwrap_or_default();
    let host = address.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Where a generator runs.
#[derive(Debug, PartialEq)]
enum Place<'a> {
    /// No model at all.
    Nowhere,
    /// A local model, by name or path.
    Here(&'a str),
    /// An endpoint.
    There(RemoteOptions),
}

/// Understands a generator's name. A URL names its model behind a `#`. `name:tag`, as Ollama names models, means Ollama where its
/// address is known.
fn place<'a>(name: &'a str, model: Option<&str>, ollama: Option<String>) -> Result<Place<'a>> {
    let is_url = name.starts_with("http://") || name.starts_with("https://");
    if is_url {
        let (url, named) = match name.split_once('#') {
            Some((url, named)) => (url, Some(named)),
            None => (name, None),
        };
        let model = model
            .or(named)
            .filter(|m| !m.trim().is_empty())
            .ok_or_else(|| {
                CliError::usage(format!(
                    "{url} may serve several models; say which, as in {url}#NAME"
                ))
            })?;
        return Ok(Place::There(RemoteOptions::new(api(url), url, model)));
    }
    if model.is_some() {
        return Err(CliError::usage(
            "--model names the model of an endpoint, and --generator is no URL; \
             name a local model with --generator alone",
        ));
    }
    match (name, ollama) {
        ("", _) => Err(CliError::usage(
            "--generator is empty; give extractive, a model or a URL",
        )),
        (EXTRACTIVE, _) => Ok(Place::Nowhere),
        (tagged, Some(url)) if tagged.contains(':') && !tagged.contains(['/', '\\']) => Ok(
            Place::There(RemoteOptions::new(RemoteApi::Ollama, url, tagged)),
        ),
        (local, _) => Ok(Place::Here(local)),
    }
}

/// Ollama is known by its port or its path; its OpenAI-compatible path counts as that.
fn api(url: &str) -> RemoteApi {
    let url = url.trim_end_matches('/');
    let address = url.split("//").nth(1).unwrap_or_default();
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    if path.starts_with("api") || (host.ends_with(":11434") && path.is_empty()) {
        RemoteApi::Ollama
    } else {
        RemoteApi::OpenAi
    }
}

fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn api_of(name: &str, model: Option<&str>, ollama: Option<&str>) -> Option<RemoteApi> {
        match place(name, model, ollama.map(str::to_owned)).unwrap() {
            Place::There(options) => Some(options.api),
            _ => None,
        }
    }

    #[test]
    fn this_machine_is_no_network() {
        for (url, own) in [
            ("http://localhost:11434", true),
            ("http://127.0.0.1:8080/v1", true),
            ("http://[::1]:8080/v1", true),
            ("http://192.0.2.1:8000/v1", false),
            ("https://localhost.example.org/v1", false),
            ("http://127.0.0.1.example.org/v1", false),
        ] {
            assert_eq!(is_this_machine(url), own, "{url}");
        }
    }

    #[test]
    fn names_are_understood() {
        assert_eq!(place("extractive", None, None).unwrap(), Place::Nowhere);
        assert_eq!(place("qwen", None, None).unwrap(), Place::Here("qwen"));
        assert_eq!(place("a:b", None, None).unwrap(), Place::Here("a:b"));
        let ollama = Some("http://gpu:11434");
        assert_eq!(api_of("llama3.1:8b", None, ollama), Some(RemoteApi::Ollama));
        assert_eq!(api_of("models/a:b.gguf", None, ollama), None);
    }

    #[test]
    fn an_endpoint_is_told_by_its_address() {
        for (url, api) in [
            ("http://localhost:11434", RemoteApi::Ollama),
            ("http://localhost:11434/", RemoteApi::Ollama),
            ("https://example.org/api/chat", RemoteApi::Ollama),
            ("http://localhost:11434/v1", RemoteApi::OpenAi),
            ("https://example.org/v1", RemoteApi::OpenAi),
            ("http://localhost:8080", RemoteApi::OpenAi),
        ] {
            assert_eq!(api_of(url, Some("m"), None), Some(api), "{url}");
        }
    }

    #[test]
    fn a_url_names_its_model_behind_a_hash() {
        let model = |name, flag| match place(name, flag, None).unwrap() {
            Place::There(options) => (options.url, options.model),
            other => panic!("{other:?}"),
        };
        let url = || "http://h:8080/v1".to_owned();
        assert_eq!(model("http://h:8080/v1#a/b", None), (url(), "a/b".into()));
        assert_eq!(
            model("http://h:8080/v1#a", Some("b")),
            (url(), "b".into()),
            "a flag is nearer"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_wrong_use() {
        for (name, model) in [
            ("http://localhost:8080", None),
            ("http://localhost:8080#", None),
            ("qwen", Some("m")),
            ("", None),
        ] {
            assert_eq!(
                place(name, model, None).unwrap_err().exit_code(),
                2,
                "{name:?}"
            );
        }
    }
}
