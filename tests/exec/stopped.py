"""A program that stops stops its front, for the shell to see, and goes on with it: stopped.py V6KIT PREFIX"""
import os, signal, subprocess, sys
v6kit, prefix = sys.argv[1:]
words = [v6kit, "exec", "-q", "--prefix", prefix, "--", "sh", "-c", "echo $$; kill -STOP $$; echo on; read _; exit 4"]
front = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0)
front.stdout.readline()
_, status = os.waitpid(front.pid, os.WUNTRACED)
assert os.WIFSTOPPED(status), status
os.killpg(front.pid, signal.SIGCONT)
assert front.stdout.readline() == "on\n"
front.stdin.write("\n")
front.stdin.flush()
_, status = os.waitpid(front.pid, 0)
assert os.WEXITSTATUS(status) == 4, status
