//! Names that people write where another is wanted: by a slip, by another name for it, or one level too high.

use super::problem::nearest;
use crate::fault::Fault;

/// Other names for what a scenario can name.
const ALIASES: [(&str, &str); 27] = [
    ("azure-openai", "openai"),
    ("chatgpt", "openai"),
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("huggingface", "tgi"),
    ("kserve", "open-inference"),
    ("kserve-v2", "open-inference"),
    ("litellm", "openai"),
    ("llama-cpp", "openai"),
    ("llama.cpp", "openai"),
    ("mlserver", "open-inference"),
    ("nim", "openai"),
    ("oip", "open-inference"),
    ("ray", "ray-serve"),
    ("rerank", "cohere"),
    ("rest", "json"),
    ("seldon", "open-inference"),
    ("sglang", "openai"),
    ("tensorflow", "tf-serving"),
    ("tensorflow-serving", "tf-serving"),
    ("text-embeddings-inference", "tei"),
    ("text-generation-inference", "tgi"),
    ("torch", "torchserve"),
    ("triton", "open-inference"),
    ("v1", "kserve-v1"),
    ("v2", "open-inference"),
    ("vllm", "openai"),
];

const SHAPES: [&str; 7] = ["step", "square", "sine", "spike", "drift", "first-n", "n-then-recover"];

/// The name among `valid` that `wrong` was most likely meant to be.
pub(super) fn meant<'a>(wrong: &str, valid: &'a [String]) -> Option<&'a str> {
    let plain = wrong.to_lowercase().replace(['_', ' '], "-");
    let alias = ALIASES.iter().find(|(alias, _)| *alias == plain).map(|(_, name)| *name);
    let alias = alias.and_then(|name| valid.iter().find(|valid| *valid == name)).map(String::as_str);
    alias.or_else(|| nearest(wrong, valid))
}

/// The key among `valid` that `wrong` stands under: `fault` for `mislabel`, `shape` for `square`.
pub(super) fn owner<'a>(wrong: &str, valid: &'a [String]) -> Option<&'a str> {
    let key = |name: &str| valid.iter().map(String::as_str).find(|valid| *valid == name);
    if SHAPES.contains(&wrong) {
        return key("shape");
    }
    key("fault").filter(|_| Fault::catalogue().iter().any(|entry| entry.name == wrong))
}
