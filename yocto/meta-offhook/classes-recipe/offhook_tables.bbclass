# The tables that the Debian image is made from (cross/), for the recipes that make the same of them.

# Which of Offhook's boards a machine is; a maker's own machine sets OFFHOOK_BOARD.
OFFHOOK_BOARDS[qemuarm64] = "qemu-virt"
OFFHOOK_BOARDS[raspberrypi3-64] = "rpi-3b"
OFFHOOK_BOARDS[raspberrypi4-64] = "rpi-4b"
OFFHOOK_BOARDS[raspberrypi5] = "rpi-5"
OFFHOOK_BOARD ??= "${@d.getVarFlag('OFFHOOK_BOARDS', d.getVar('MACHINE')) or ''}"

# The text of a file of the repository; a recipe that asked for it is parsed again when it changes.
def offhook_text(d, path):
    path = os.path.join(d.getVar("OFFHOOK_SOURCE"), path)
    bb.parse.mark_dependency(d, path)
    with open(path) as f:
        return f.read()

# The lines of a table of the repository, split into words, without comments.
def offhook_table(d, path):
    lines = (line.split("#")[0].split() for line in offhook_text(d, path).splitlines())
    return [line for line in lines if line]

# What cross/boards says of this machine: U-Boot's name for the disk, and the kernel's arguments.
def offhook_board(d):
    board = d.getVar("OFFHOOK_BOARD")
    for row in offhook_table(d, "cross/boards"):
        if row[0] == board:
            return row[1], " ".join(row[4:])
    bb.fatal("cross/boards has no board '%s': set OFFHOOK_BOARD for the machine %s" % (board, d.getVar("MACHINE")))

# The partitions of cross/partitions, with number (from 1) and start in MiB.
def offhook_partitions(d):
    start, partitions = 4, []
    for number, (label, size, kind, content, *_) in enumerate(offhook_table(d, "cross/partitions"), 1):
        partitions.append({"number": number, "label": label, "start": start, "size": int(size),
                           "type": kind.upper(), "content": content})
        start += int(size)
    return partitions

def offhook_partition(d, label):
    return next(p for p in offhook_partitions(d) if p["label"] == label)
