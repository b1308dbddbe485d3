//! A GGUF file small enough to write by hand: a real model of a few thousand random weights.

/// A metadata value.
#[derive(Clone)]
pub(super) enum Meta {
    U32(u32),
    F32(f32),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
}

/// A tensor of 32-bit floats, innermost dimension first.
#[derive(Clone)]
pub(super) struct Weights {
    pub(super) name: String,
    pub(super) shape: Vec<u64>,
    pub(super) values: Vec<f32>,
}

/// The parts of the file; change some and write it.
#[derive(Clone)]
pub(super) struct Tiny {
    pub(super) meta: Vec<(String, Meta)>,
    pub(super) tensors: Vec<Weights>,
}

pub(super) const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + \
     m['content'] + '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}";

impl Default for Tiny {
    fn default() -> Self {
        let letters = (0..=255_u8).scan(0x100, |next, byte| {
            Some(if matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
                char::from(byte).to_string()
            } else {
                *next += 1;
                char::from_u32(*next - 1).unwrap().to_string()
            })
        });
        let mut tokens: Vec<String> = letters.collect();
        tokens.extend(["he", "in", "Ġa", "<|im_start|>", "<|im_end|>"].map(String::from));
        let mut kinds = vec![1; tokens.len()];
        kinds[259] = 3;
        kinds[260] = 3;
        let vocabulary = tokens.len() as u64;
        let text = |s: &str| Meta::Text(s.into());
        let meta = [
            ("general.architecture", text("llama")),
            ("general.name", text("tiny")),
            ("llama.context_length", Meta::U32(2048)),
            ("llama.embedding_length", Meta::U32(16)),
            ("llama.block_count", Meta::U32(2)),
            ("llama.feed_forward_length", Meta::U32(24)),
            ("llama.attention.head_count", Meta::U32(4)),
            ("llama.attention.head_count_kv", Meta::U32(2)),
            ("llama.attention.layer_norm_rms_epsilon", Meta::F32(1e-5)),
            ("tokenizer.ggml.model", text("gpt2")),
            ("tokenizer.ggml.pre", text("gpt-2")),
            ("tokenizer.ggml.tokens", Meta::Texts(tokens)),
            ("tokenizer.ggml.token_type", Meta::Ints(kinds)),
            (
                "tokenizer.ggml.merges",
                Meta::Texts(["h e", "i n", "Ġ a"].map(String::from).into()),
            ),
            ("tokenizer.ggml.eos_token_id", Meta::U32(260)),
            ("tokenizer.chat_template", text(CHATML)),
        ];
        let mut tensors = vec![
            weights("token_embd.weight", &[16, vocabulary]),
            weights("output_norm.weight", &[16]),
        ];
        for block in 0..2 {
            for (name, shape) in [
                ("attn_norm", &[16][..]),
                ("attn_q", &[16, 16]),
                ("attn_k", &[16, 8]),
                ("attn_v", &[16, 8]),
                ("attn_output", &[16, 16]),
                ("ffn_norm", &[16]),
                ("ffn_gate", &[16, 24]),
                ("ffn_up", &[16, 24]),
                ("ffn_down", &[24, 16]),
            ] {
                tensors.push(weights(&format!("blk.{block}.{name}.weight"), shape));
            }
        }
        Self {
            meta: meta.map(|(key, value)| (key.to_owned(), value)).into(),
            tensors,
        }
    }
}

fn weights(name: &str, shape: &[u64]) -> Weights {
    let mut state = name.bytes().fold(0x9E37_79B9_u64, |s, b| {
        s.wrapping_mul(31).wrapping_add(b.into())
    });
    let values = (0..shape.iter().product())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Weights {
        name: name.into(),
        shape: shape.into(),
        values,
    }
}

impl Tiny {
    /// The same size of model with a SentencePiece tokenizer: bytes, letters and a few words.
    pub(super) fn sentencepiece() -> Self {
        let mut tokens = vec!["<unk>".to_owned(), "<s>".into(), "</s>".into()];
        let mut kinds = vec![2, 3, 3];
        tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
        kinds.resize(tokens.len(), 6);
        tokens.push("▁".into());
        tokens.extend((' '..='~').skip(1).map(String::from));
        tokens.extend(["▁yes", "▁no", "\":", "▁\"", "true", "12", "ä", "语"].map(String::from));
        kinds.resize(tokens.len(), 1);
        let scores = (0..tokens.len()).map(|rank| -(rank as f32)).collect();
        let vocabulary = tokens.len() as u64;
        let mut tiny = Self::default()
            .without("tokenizer.ggml.pre")
            .without("tokenizer.ggml.merges")
            .set("tokenizer.ggml.model", Meta::Text("llama".into()))
            .set("tokenizer.ggml.tokens", Meta::Texts(tokens))
            .set("tokenizer.ggml.token_type", Meta::Ints(kinds))
            .set("tokenizer.ggml.scores", Meta::Floats(scores))
            .set("tokenizer.ggml.bos_token_id", Meta::U32(1))
            .set("tokenizer.ggml.eos_token_id", Meta::U32(2));
        tiny.tensors[0] = weights("token_embd.weight", &[16, vocabulary]);
        tiny
    }

    pub(super) fn set(mut self, key: &str, value: Meta) -> Self {
        self.meta.retain(|(k, _)| k != key);
        self.meta.push((key.into(), value));
        self
    }

    pub(super) fn without(mut self, key: &str) -> Self {
        self.meta.retain(|(k, _)| k != key);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.meta.len() as u64).to_le_bytes());
        for (key, value) in &self.meta {
            push_text(&mut out, key);
            match value {
                Meta::U32(n) => {
                    out.extend(4_u32.to_le_bytes());
                    out.extend(n.to_le_bytes());
                }
                Meta::F32(x) => {
                    out.extend(6_u32.to_le_bytes());
                    out.extend(x.to_le_bytes());
                }
                Meta::Text(text) => {
                    out.extend(8_u32.to_le_bytes());
                    push_text(&mut out, text);
                }
                Meta::Texts(texts) => {
                    out.extend(9_u32.to_le_bytes());
                    out.extend(8_u32.to_le_bytes());
                    out.extend((texts.len() as u64).to_le_bytes());
                    for text in texts {
                        push_text(&mut out, text);
                    }
                }
                Meta::Floats(floats) => {
                    out.extend(9_u32.to_le_bytes());
                    out.extend(6_u32.to_le_bytes());
                    out.extend((floats.len() as u64).to_le_bytes());
                    out.extend(floats.iter().flat_map(|x| x.to_le_bytes()));
                }
                Meta::Ints(ints) => {
                    out.extend(9_u32.to_le_bytes());
                    out.extend(5_u32.to_le_bytes());
                    out.extend((ints.len() as u64).to_le_bytes());
                    out.extend(ints.iter().flat_map(|n| n.to_le_bytes()));
                }
            }
        }
        let mut offset = 0_u64;
        for tensor in &self.tensors {
            push_text(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            out.extend(tensor.shape.iter().flat_map(|n| n.to_le_bytes()));
            out.extend(0_u32.to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset += (tensor.values.len() as u64 * 4).next_multiple_of(32);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(tensor.values.iter().flat_map(|x| x.to_le_bytes()));
        }
        out
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
