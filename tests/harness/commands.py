"""The command line through a shell, with networks of the zoo to prove something about."""

import contextlib
import io
import shlex
import signal
import subprocess
import sys

import torch

from tests.harness.shell import ENVIRONMENT, HANGS
from zkds.circuits.networks.torch_module import build, save_checkpoint
from zkds.cli import main

ZKDS = f"{shlex.quote(sys.executable)} -m zkds"
SEED = "0123456789abcdef" * 4
PROBE = "--steps 2 --batch-size 2 --lr 0.01"


def shell(arguments, cwd, environment=ENVIRONMENT):
    """`zkds` with these arguments; a shell reads them, so that they may redirect."""
    command = f"{ZKDS} {arguments}"
    return subprocess.run(command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, timeout=HANGS)


def within(arguments, cwd):
    """What `shell` returns, of a command that runs in this process: it needn't load torch again."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def runner(folder, monkeypatch, capsys):
    """A function that runs a command in the folder, in this process: its exit code, and what it printed."""
    monkeypatch.chdir(folder)
    capsys.readouterr()

    def command(*arguments):
        code = main(list(arguments))
        return code, capsys.readouterr().out

    return command


def interruptible():
    """In the child: background jobs of a shell ignore SIGINT, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def save(path, seed, architecture="digits-mlp", change=None):
    """A checkpoint with random weights; `change` may alter the first parameter."""
    torch.manual_seed(seed)
    module = build(architecture)
    if change is not None:
        with torch.no_grad():
            change(next(module.parameters()))
    save_checkpoint(module, architecture, path)
