"""Servers of the machine-learning world by image and by port, and those that let anyone in by default."""

from __future__ import annotations

import re

_IMAGES: tuple[tuple[str, str], ...] = (
    ("vLLM", r"vllm"),
    ("SGLang", r"sglang"),
    ("Text Generation Inference", r"text-generation-inference|\btgi\b"),
    ("llama.cpp", r"llama\.?cpp|llama-server"),
    ("Ollama", r"ollama"),
    ("Open WebUI", r"open-webui"),
    ("LocalAI", r"localai"),
    ("Triton", r"triton(?:server|-?inference)?(?![\w-]*python-client)"),
    ("TorchServe", r"torchserve|pytorch/torchserve"),
    ("TensorFlow Serving", r"tensorflow/serving|tf-?serving"),
    ("Ray", r"rayproject/|\bray(?:-head|cluster|serve)?\b"),
    ("MLflow", r"mlflow"),
    ("Jupyter", r"jupyter|(?:scipy|datascience|pyspark|minimal|base)-notebook"),
    ("TensorBoard", r"tensorboard"),
    ("Label Studio", r"label-?studio"),
    ("Gradio", r"\bgradio\b"),
    ("Streamlit", r"streamlit"),
    ("Qdrant", r"qdrant"),
    ("Milvus", r"milvus"),
    ("Weaviate", r"weaviate"),
    ("Chroma", r"chromadb|chroma\b"),
    ("Redis", r"(?:^|/)redis(?:-stack|/redis-stack)?(?:-server)?(?::|@|$)"),
    ("Elasticsearch", r"elasticsearch|opensearch"),
    ("MinIO", r"minio"),
    ("Airflow", r"airflow"),
    ("ComfyUI", r"comfyui"),
    ("Flowise", r"flowise"),
    ("Langflow", r"langflow"),
    ("n8n", r"n8nio"),
)
_SERVERS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _IMAGES)
_PORTS: dict[int, str] = {
    11434: "Ollama",
    8265: "Ray",
    10001: "Ray",
    6379: "Redis",
    6006: "TensorBoard",
    6333: "Qdrant",
    6334: "Qdrant",
    19530: "Milvus",
    7860: "Gradio",
    8081: "TorchServe",
    8501: "TensorFlow Serving",
}
"""Ports few others use; 8000, 8080 and 5000 tell nothing without the image."""
_SURE_PORTS = frozenset({11434, 8265, 10001, 6006, 6333, 6334, 19530})
KEYLESS = frozenset(
    ["vLLM", "SGLang", "Text Generation Inference", "llama.cpp", "Ollama", "LocalAI", "Triton", "TorchServe",
     "TensorFlow Serving", "Ray", "MLflow", "TensorBoard", "Qdrant", "Milvus", "Weaviate", "Chroma", "Redis", "ComfyUI",
     "Flowise", "Langflow", "Jupyter"]
)  # fmt: skip
"""Servers that ask nobody who they are, or a default everybody knows, until they are told to."""


def server_of(image: str, port: int) -> str:
    """Name the server behind an image, else behind a port only it uses; "" for neither."""
    plain = image.split("@")[0]
    for name, pattern in _SERVERS:
        if pattern.search(plain):
            return name
    return _PORTS.get(port, "") if port in _SURE_PORTS else ""
