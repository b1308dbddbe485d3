//! The transformer: a model's weights, and one pass over them.
//!
//! The attention state is the caller's ([`Attention`]), so that it can be kept, copied and put
//! back. Several conversations can be read in one pass, which reads the weights once for all of
//! them. Nothing here chooses tokens or knows text.
//!
//! # Invariant
//! What comes out for a token depends on the tokens before it alone, to the last bit: not on how
//! many are read at once, nor on what else is read with them.

use super::attention::Attention;
use super::gguf::{Fault, Gguf};
use super::kept::Sizes;
use super::kernels::{Activations, Block, Kernels, Precision, Query, Rows, Scores, TILE, kernels};
use super::layer::{Layer, Loading};
use super::matrix::{Input, Matrix, multiply};
use super::pool::Pool;
use super::shape::{Gate, Rotation, Shape, Turns};
use crate::{Control, Interrupted};

/// Most weights of a model whose activations are rounded to sixteen bits. Models this small are
/// close to nonsense, and eight bits take them there: SmolLM2-135M knows the capital of France with
/// the one and not with the other. What it costs is small where everything is.
const SMALL_MODEL: usize = 200_000_000;

/// A loaded model.
pub(super) struct Decoder {
    shape: Shape,
    turns: Turns,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// None where the embedding's weights serve as the last layer's too.
    head: Option<Matrix>,
    precision: Precision,
    pool: Pool,
    kernels: &'static Kernels,
}

/// Tokens of one conversation to be read.
pub(super) struct Sequence<'a> {
    pub(super) tokens: &'a [u32],
    /// What was read before them.
    pub(super) attention: &'a mut Attention,
    pub(super) scores: Wanted,
    pub(super) state: Option<&'a mut State>,
}

/// What the last token of a sequence has become on its way through the layers.
#[derive(Debug, Default)]
pub(super) struct State {
    /// After how many of them, from 1.
    pub(super) layers: usize,
    /// `[width]`, once it was read.
    pub(super) values: Vec<f32>,
}

/// Tokens of a sequence after which the scores of the next one are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    None,
    Last,
    #[cfg(test)]
    All,
}

/// The room that passes work in, kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// `[tokens, width]`: what goes from layer to layer.
    stream: Vec<f32>,
    /// The same, normed; and what a layer adds to it.
    normed: Vec<f32>,
    added: Vec<f32>,
    codes: Activations,
    /// Queries, keys and values: `[tokens, heads and twice the shared heads]`.
    heads: Vec<f32>,
    /// `[tokens, heads]`.
    attended: Vec<f32>,
    /// Gates and what they let through: `[tokens, 2 hidden]`.
    hidden: Vec<f32>,
    /// In layers that see everything, and in those that slide and turn otherwise.
    angles: [Angles; 2],
    scores: Vec<f32>,
}

/// Cosines and sines: `[tokens, pairs]` each.
#[derive(Debug, Default)]
struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// Up to eight queries over one head.
struct Unit {
    sequence: usize,
    head: usize,
    /// Numbers within the sequence: a token's queries of this head stand together.
    from: usize,
    to: usize,
}

/// A sequence's place among the tokens of a pass.
struct Place {
    /// Its first token.
    first: usize,
    tokens: usize,
    /// Tokens read before.
    seen: usize,
}

impl Decoder {
    /// Reads the weights. `vocabulary` is the number of tokens that the tokenizer has.
    pub(super) fn load(gguf: &Gguf, vocabulary: usize) -> Result<Self, Fault> {
        Self::load_by(gguf, vocabulary, &Matrix::load)
    }

    /// As [`Decoder::load`] with another way to load matrices.
    fn load_by(gguf: &Gguf, vocabulary: usize, matrix: &Loading) -> Result<Self, Fault> {
        let shape = Shape::read(gguf)?;
        let turns = shape.turns(gguf)?;
        let pool = Pool::new(rayon::current_num_threads());
        let kernels = kernels();
        tracing::debug!(kernels = kernels.name, threads = pool.threads(), "decoder");
        let width = shape.width;
        let embedding = matrix(gguf, "token_embd.weight", [vocabulary, width], &pool)?;
        let head = match gguf.shape("output.weight") {
            Some(_) => Some(matrix(gguf, "output.weight", [vocabulary, width], &pool)?),
            None => None,
        };
        let mut layers = Vec::new();
        for number in 0..shape.layers {
            layers.push(Layer::load(gguf, &shape, number, &pool, matrix)?);
        }
        Ok(Self {
            turns,
            embedding,
            layers,
            norm: gguf.floats("output_norm.weight", width)?,
            head,
            precision: if gguf.weights() <= SMALL_MODEL {
                Precision::Sixteen
            } else {
                Precision::Eight
            },
            shape,
            pool,
            kernels,
        })
    }

    /// Tokens that the model can attend to.
    pub(super) fn context(&self) -> usize {
        self.shape.context
    }

    /// Layers of the model.
    pub(super) fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The weights of the norm after the last layer, which every file of one trained model holds
    /// alike, whatever its matrices are rounded to.
    pub(super) fn last_norm(&self) -> &[f32] {
        &self.norm
    }

    /// The sizes of its attention state.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            layers: self.shape.layers,
            heads: self.shape.kv_heads,
            head: self.shape.head,
        }
    }

    /// What results depend on beside the weights, to the last bit.
    pub(super) fn computed(&self) -> String {
        format!("{} {:?}", self.kernels.name, self.precision)
    }

    /// An attention state that has seen nothing.
    pub(super) fn attention(&self) -> Attention {
        Attention::new(self.shape.layers, self.shape.kv_heads, self.shape.head)
    }

    /// Reads the tokens of each sequence after what its attention has seen; none is empty. Gives the
    /// scores of each token of the vocabulary to come next: `[tokens asked for, vocabulary]`.
    ///
    /// # Errors
    /// When `control` says so; the attentions then are as they were.
    pub(super) fn read<'r>(
        &self,
        room: &'r mut Room,
        sequences: &mut [Sequence<'_>],
        control: &Control,
    ) -> Result<&'r [f32], Interrupted> {
        let (places, units) = self.plan(sequences);
        self.embed(room, sequences);
        self.angles(room, &places);
        for (number, layer) in self.layers.iter().enumerate() {
            control.check()?;
            self.attend(room, layer, number, sequences, &places, &units);
            self.feed(room, layer);
            self.keep_states(room, number + 1, sequences, &places);
        }
        for sequence in sequences.iter_mut() {
            sequence.attention.advance(sequence.tokens.len());
        }
        self.score(room, sequences, &places);
        Ok(&room.scores)
    }

    /// Writes down the states that are asked for after so many layers.
    fn keep_states(
        &self,
        room: &Room,
        layers: usize,
        sequences: &mut [Sequence<'_>],
        places: &[Place],
    ) {
        let width = self.shape.width;
        for (sequence, place) in sequences.iter_mut().zip(places) {
            if let Some(state) = &mut sequence.state
                && state.layers == layers
            {
                let end = (place.first + place.tokens) * width;
                state.values.clear();
                state
                    .values
                    .extend_from_slice(&room.stream[end - width..end]);
            }
        }
    }

    fn plan(&self, sequences: &[Sequence<'_>]) -> (Vec<Place>, Vec<Unit>) {
        let shared = self.shape.heads / self.shape.kv_heads;
        let (mut places, mut units, mut first) = (Vec::new(), Vec::new(), 0);
        for (number, sequence) in sequences.iter().enumerate() {
            let tokens = sequence.tokens.len();
            places.push(Place {
                first,
                tokens,
                seen: sequence.attention.len(),
            });
            first += tokens;
            let queries = tokens * shared;
            for head in 0..self.shape.kv_heads {
                units.extend((0..queries).step_by(TILE).map(|from| Unit {
                    sequence: number,
                    head,
                    from,
                    to: (from + TILE).min(queries),
                }));
            }
        }
        (places, units)
    }

    fn embed(&self, room: &mut Room, sequences: &[Sequence<'_>]) {
        let width = self.shape.width;
        let tokens: Vec<u32> = sequences.iter().flat_map(|p| p.tokens).copied().collect();
        room.stream.resize(tokens.len() * width, 0.0);
        self.pool
            .chunks(&mut room.stream, TILE * width, &|tile, rows| {
                for (token, row) in tokens[tile * TILE..]
                    .iter()
                    .zip(rows.chunks_exact_mut(width))
                {
                    self.embedding.open_row(self.kernels, *token as usize, row);
                    if self.shape.embedding_scale != 1.0 {
                        for x in row {
                            *x *= self.shape.embedding_scale;
                        }
                    }
                }
            });
    }

    fn angles(&self, room: &mut Room, places: &[Place]) {
        let scale = f64::from(self.shape.rotation_scale);
        for (angles, turns) in room
            .angles
            .iter_mut()
            .zip([&self.turns.wide, &self.turns.sliding])
        {
            angles.cos.clear();
            angles.sin.clear();
            for place in places {
                for position in place.seen..place.seen + place.tokens {
                    for turn in turns {
                        let (sin, cos) = (position as f64 * turn).sin_cos();
                        angles.cos.push((scale * cos) as f32);
                        angles.sin.push((scale * sin) as f32);
                    }
                }
            }
        }
    }

    /// Adds to the stream what a layer's attention says.
    fn attend(
        &self,
        room: &mut Room,
        layer: &Layer,
        number: usize,
        sequences: &mut [Sequence<'_>],
        places: &[Place],
        units: &[Unit],
    ) {
        let Shape {
            heads,
            kv_heads,
            head,
            width,
            ..
        } = self.shape;
        let (wide, narrow) = (heads * head, kv_heads * head);
        let pitch = wide + 2 * narrow;
        let tokens = room.stream.len() / width;
        self.norm(room, &layer.attention_norm, &layer.heads);
        room.heads.resize(tokens * pitch, 0.0);
        let input = Input {
            rows: whole(&room.normed, width),
            codes: &room.codes,
        };
        multiply(
            &self.pool,
            self.kernels,
            &layer.heads,
            input,
            &mut room.heads,
        );
        self.rotate(room, layer, self.shape.slides(number), pitch);

        for (sequence, place) in sequences.iter_mut().zip(places) {
            let rows = &room.heads[place.first * pitch..][..place.tokens * pitch];
            let states = sequence.attention.layer(number);
            let append = |kv: usize, state: &mut super::attention::HeadState| {
                let key = wide + kv * head;
                state.append(
                    self.kernels,
                    rows,
                    (pitch, head),
                    (key, key + narrow),
                    place.seen,
                );
            };
            if place.tokens > TILE {
                self.pool
                    .chunks(states, 1, &|kv, states| append(kv, &mut states[0]));
            } else {
                for (kv, state) in states.iter_mut().enumerate() {
                    append(kv, state);
                }
            }
        }
        room.attended.resize(tokens * wide, 0.0);
        self.answer(
            &room.heads,
            &mut room.attended,
            number,
            sequences,
            places,
            units,
        );
        self.round(
            &room.attended,
            (wide, wide),
            std::slice::from_ref(&layer.output),
            &mut room.codes,
        );
        let input = Input {
            rows: whole(&room.attended, wide),
            codes: &room.codes,
        };
        room.added.resize(tokens * width, 0.0);
        let added = &mut room.added;
        let output = std::slice::from_ref(&layer.output);
        multiply(&self.pool, self.kernels, output, input, added);
        self.add(room, &layer.attended_norm);
    }

    /// Brings queries and keys to their positions, and norms them before where the model does.
    fn rotate(&self, room: &mut Room, layer: &Layer, slides: bool, pitch: usize) {
        let (size, queries) = (self.shape.head, self.shape.heads);
        let rotated = (queries + self.shape.kv_heads) * size;
        let other = slides && !self.turns.sliding.is_empty();
        let Angles { cos, sin } = &room.angles[usize::from(other)];
        let (kernels, pairs) = (self.kernels, self.shape.rotated / 2);
        let whole = self.shape.rotated == size;
        self.pool
            .chunks(&mut room.heads, TILE * pitch, &|tile, rows| {
                let mut normed = vec![0.0; if layer.normed() { size } else { 0 }];
                for (token, row) in (tile * TILE..).zip(rows.chunks_exact_mut(pitch)) {
                    if !layer.bias.is_empty() {
                        kernels.add(row, &layer.bias);
                    }
                    let row = &mut row[..rotated];
                    if layer.normed() {
                        for (number, head) in row.chunks_exact_mut(size).enumerate() {
                            let weight = layer.head_norm(number < queries);
                            kernels.normalise(head, weight, self.shape.epsilon, &mut normed);
                            head.copy_from_slice(&normed);
                        }
                    }
                    let angles = token * pairs..(token + 1) * pairs;
                    let (cos, sin) = (&cos[angles.clone()], &sin[angles]);
                    match self.shape.rotation {
                        Rotation::Neighbours => kernels.rotate_neighbours(row, cos, sin),
                        Rotation::Halves if whole => kernels.rotate_halves(row, cos, sin),
                        Rotation::Halves => {
                            for head in row.chunks_exact_mut(size) {
                                kernels.rotate_halves(&mut head[..2 * pairs], cos, sin);
                            }
                        }
                    }
                }
            });
    }

    /// Lets each query look at the keys and values it may see.
    #[allow(unsafe_code, reason = "units of the attention write different results")]
    fn answer(
        &self,
        heads: &[f32],
        attended: &mut [f32],
        layer: usize,
        sequences: &mut [Sequence<'_>],
        places: &[Place],
        units: &[Unit],
    ) {
        let size = self.shape.head;
        let shared = self.shape.heads / self.shape.kv_heads;
        let wide = self.shape.heads * size;
        let pitch = wide + 2 * self.shape.kv_heads * size;
        let states: Vec<_> = sequences
            .iter_mut()
            .map(|p| &*p.attention.layer(layer))
            .collect();
        let out = Attended(attended.as_mut_ptr());
        let room = (heads.len() / pitch * wide, attended.len());
        assert_eq!(room.0, room.1, "results of the attention");
        self.pool.run(units.len(), &|number| {
            let (unit, out) = (&units[number], &out);
            let place = &places[unit.sequence];
            let queries = (unit.from..unit.to).map(|query| {
                let token = place.first + query / shared;
                let at = (unit.head * shared + query % shared) * size;
                let visible = place.seen + query / shared + 1;
                Query {
                    at: heads[token * pitch + at..][..size].as_ptr(),
                    from: visible.saturating_sub(self.shape.window(layer)),
                    visible,
                    // SAFETY: tokens and heads lie within `attended`, whose length was checked.
                    out: unsafe { out.0.add(token * wide + at) },
                }
            });
            let mut tile: [Query; TILE] = std::array::from_fn(|_| Query::NONE);
            for (slot, query) in tile.iter_mut().zip(queries) {
                *slot = query;
            }
            let head = states[unit.sequence][unit.head].view(size);
            let by = Scores {
                scale: self.shape.query_scale,
                cap: self.shape.attention_cap,
            };
            // SAFETY: each query of each token belongs to one unit, and each unit to one thread.
            unsafe { self.kernels.attend(head, by, &tile[..unit.to - unit.from]) }
        });
    }

    /// Adds to the stream what a layer's feed-forward network says.
    fn feed(&self, room: &mut Room, layer: &Layer) {
        let (width, hidden) = (self.shape.width, self.shape.hidden);
        let tokens = room.stream.len() / width;
        self.norm(room, &layer.feed_norm, &layer.gates);
        room.hidden.resize(tokens * 2 * hidden, 0.0);
        let input = Input {
            rows: whole(&room.normed, width),
            codes: &room.codes,
        };
        multiply(
            &self.pool,
            self.kernels,
            &layer.gates,
            input,
            &mut room.hidden,
        );
        let pitch = 2 * hidden;
        // Of a few conversations each on a thread, else tile by tile.
        let rows = if tokens > TILE { TILE } else { 1 };
        self.pool
            .chunks(&mut room.hidden, rows * pitch, &|_, rows| {
                for row in rows.chunks_exact_mut(pitch) {
                    let (gate, up) = row.split_at_mut(hidden);
                    match self.shape.gate {
                        Gate::Silu => self.kernels.gate(gate, up),
                        Gate::Gelu => self.kernels.gate_gelu(gate, up),
                    }
                }
            });
        self.round(
            &room.hidden,
            (pitch, hidden),
            std::slice::from_ref(&layer.down),
            &mut room.codes,
        );
        let input = Input {
            rows: Rows {
                floats: &room.hidden,
                pitch,
                width: hidden,
            },
            codes: &room.codes,
        };
        room.added.resize(tokens * width, 0.0);
        let added = &mut room.added;
        let down = std::slice::from_ref(&layer.down);
        multiply(&self.pool, self.kernels, down, input, added);
        self.add(room, &layer.fed_norm);
    }

    /// Adds to the stream, after a norm where `weight` has one.
    fn add(&self, room: &mut Room, weight: &[f32]) {
        let size = TILE * self.shape.width;
        if !weight.is_empty() {
            self.normalise(&room.added, weight, &mut room.normed);
        }
        let added = if weight.is_empty() {
            &room.added
        } else {
            &room.normed
        };
        self.pool.chunks(&mut room.stream, size, &|tile, rows| {
            self.kernels.add(rows, &added[tile * size..][..rows.len()]);
        });
    }

    /// Norms the stream, and rounds it where one of `readers` wants codes.
    fn norm(&self, room: &mut Room, weight: &[f32], readers: &[Matrix]) {
        let width = self.shape.width;
        self.normalise(&room.stream, weight, &mut room.normed);
        self.round(&room.normed, (width, width), readers, &mut room.codes);
    }

    fn normalise(&self, rows: &[f32], weight: &[f32], normed: &mut Vec<f32>) {
        let (width, epsilon) = (self.shape.width, self.shape.epsilon);
        normed.resize(rows.len(), 0.0);
        let size = TILE * width;
        self.pool.chunks(normed, size, &|tile, normed| {
            let rows = &rows[tile * size..];
            for (normed, row) in normed.chunks_exact_mut(width).zip(rows.chunks_exact(width)) {
                self.kernels.normalise(row, weight, epsilon, normed);
            }
        });
    }

    /// Rounds rows of `width` floats, `pitch` apart, where one of `readers` wants codes.
    fn round(
        &self,
        rows: &[f32],
        (pitch, width): (usize, usize),
        readers: &[Matrix],
        codes: &mut Activations,
    ) {
        if !readers.iter().any(Matrix::is_quantised) {
            return;
        }
        codes.resize(rows.len() / pitch, width, self.precision);
        let (size, of_tile, blocks) = codes.tiles_mut();
        self.pool
            .chunks(blocks, size, &|tile, blocks: &mut [Block]| {
                let rows = &rows[tile * of_tile * pitch..];
                let tokens = (rows.len() / pitch).min(of_tile);
                for (token, row) in rows.chunks_exact(pitch).take(tokens).enumerate() {
                    self.kernels
                        .quantise(&row[..width], (token, tokens), blocks);
                }
            });
    }

    fn score(&self, room: &mut Room, sequences: &[Sequence<'_>], places: &[Place]) {
        let width = self.shape.width;
        let mut last = Vec::new();
        for (sequence, place) in sequences.iter().zip(places) {
            let end = (place.first + place.tokens) * width;
            let start = match sequence.scores {
                Wanted::None => end,
                Wanted::Last => end - width,
                #[cfg(test)]
                Wanted::All => place.first * width,
            };
            last.extend_from_slice(&room.stream[start..end]);
        }
        let head = std::slice::from_ref(self.head.as_ref().unwrap_or(&self.embedding));
        room.scores.resize(last.len() / width * head[0].rows(), 0.0);
        if last.is_empty() {
            return;
        }
        room.stream = last;
        self.norm(room, &self.norm, head);
        let input = Input {
            rows: whole(&room.normed, width),
            codes: &room.codes,
        };
        multiply(&self.pool, self.kernels, head, input, &mut room.scores);
        let cap = self.shape.final_cap;
        if cap > 0.0 {
            let piece = room.scores.len().div_ceil(self.pool.threads());
            let scores = &mut room.scores;
            self.pool.chunks(scores, piece, &|_, scores| {
                self.kernels.soft_cap(scores, cap);
            });
        }
    }
}

/// Where the attention's results go; threads write different ones.
struct Attended(*mut f32);

#[allow(unsafe_code, reason = "units of the attention write different results")]
// SAFETY: `answer` gives each unit, and with it each result, to one thread.
unsafe impl Sync for Attended {}

fn whole(floats: &[f32], width: usize) -> Rows<'_> {
    Rows {
        floats,
        pitch: width,
        width,
    }
}

#[cfg(test)]
mod tests;
