/*
 * The devices of a Raspberry Pi for a program on a machine that has none: what the kernel's drivers answer to i2c-dev,
 * gpiochip and evdev (linux/i2c-dev.h, linux/gpio.h, linux/input.h), between the C library and the kernel. Preloaded by
 * firmware/tests/device/pi.rs, in whose folder the devices are plain files and named pipes:
 *
 *   i2c-1              gets each message, after its length in two bytes, little-endian
 *   .i2c-1.cut         exists: nobody acknowledges
 *   .i2c-1.tries       gets a byte for each message that nobody acknowledged
 *   gpiochip0          holds the chip's label
 *   .gpiochip0.held    exists: "LINE CONSUMER", a line that somebody else holds
 *   .gpiochip0.levels  the levels of lines 0 to 63, eight bytes, little-endian
 *   .gpiochip0.edges   a pipe: events of the lines, as the kernel lays them out
 *   input/event0       a pipe: events of a keyboard; removed: it is unplugged
 *   input/.event0.name its name
 *   input/.event0.keys the keys that are down at first, a bit each; optional
 *   input/.event0.busy exists: another program keeps it for itself
 *   input/.event0.ours made when it is kept for ourselves
 *   .model             what the device tree says this machine is
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <linux/input.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODEL "/proc/device-tree/model"

/* The device behind a descriptor, by its path; "" if it is none of ours. Whether it has been removed. */
static const char *device(int fd, char *path, size_t room, int *is_gone) {
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, room - 1);
  path[length < 0 ? 0 : length] = 0;
  char *gone = strstr(path, " (deleted)");
  *is_gone = gone != NULL;
  if (gone) *gone = 0;
  int ours = !strncmp(path, "/dev/i2c-", 9) || !strncmp(path, "/dev/gpiochip", 13) ||
             !strncmp(path, "/dev/.gpiochip", 14) || !strncmp(path, "/dev/input/event", 16);
  return ours ? path : "";
}

/* "FOLDER/.NAME.ENDING" of the device at `path`. */
static void beside(const char *path, const char *ending, char *out, size_t room) {
  const char *name = strrchr(path, '/') + 1;
  snprintf(out, room, "%.*s.%s.%s", (int)(name - path), path, name, ending);
}

/* Bytes of the file beside; 0 if there is none. */
static size_t content(const char *path, const char *ending, void *out, size_t room) {
  char file[200];
  beside(path, ending, file, sizeof file);
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, out, room);
  close(fd);
  return length < 0 ? 0 : (size_t)length;
}

static int exists(const char *path, const char *ending) {
  char file[200];
  beside(path, ending, file, sizeof file);
  return access(file, F_OK) == 0;
}

static int fails(int error) {
  errno = error;
  return -1;
}

static int i2c(unsigned long request, void *argument) {
  if (request == I2C_FUNCS) {
    *(unsigned long *)argument = I2C_FUNC_I2C;
    return 0;
  }
  return request == I2C_SLAVE || request == I2C_SLAVE_FORCE ? 0 : fails(ENOTTY);
}

static int holder(const char *path, uint32_t line, char *consumer) {
  char text[64] = "";
  unsigned held;
  text[content(path, "held", text, sizeof text - 1)] = 0;
  return sscanf(text, "%u %31s", &held, consumer) == 2 && held == line;
}

static int chip(const char *path, unsigned long request, void *argument) {
  char consumer[32] = "";
  if (request == GPIO_GET_CHIPINFO_IOCTL) {
    struct gpiochip_info *info = argument;
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", strrchr(path, '/') + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      if (read(fd, info->label, sizeof info->label - 1) < 0) info->label[0] = 0;
      close(fd);
    }
    info->lines = 58;
    return 0;
  }
  if (request == GPIO_V2_GET_LINEINFO_IOCTL) {
    struct gpio_v2_line_info *info = argument;
    if (holder(path, info->offset, consumer)) {
      snprintf(info->consumer, sizeof info->consumer, "%s", consumer);
      info->flags |= GPIO_V2_LINE_FLAG_USED;
    }
    return 0;
  }
  if (request == GPIO_V2_GET_LINE_IOCTL) {
    struct gpio_v2_line_request *wanted = argument;
    char edges[200];
    for (uint32_t line = 0; line < wanted->num_lines; line++)
      if (holder(path, wanted->offsets[line], consumer)) return fails(EBUSY);
    /* Which lines a request has, its path cannot tell; all tests use but one. */
    beside(path, "edges", edges, sizeof edges);
    wanted->fd = open(edges, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return wanted->fd < 0 ? -1 : 0;
  }
  return fails(ENOTTY);
}

/* The levels of a request: all high but those of the file, by the order of the lines in it. */
static int lines(unsigned long request, void *argument) {
  struct gpio_v2_line_values *values = argument;
  uint64_t levels = ~0ull;
  if (request == GPIO_V2_LINE_SET_VALUES_IOCTL || request == GPIO_V2_LINE_SET_CONFIG_IOCTL) return 0;
  if (request != GPIO_V2_LINE_GET_VALUES_IOCTL) return fails(ENOTTY);
  content("/dev/gpiochip0", "levels", &levels, sizeof levels);
  values->bits = levels & values->mask;
  return 0;
}

static int keyboard(const char *path, unsigned long request, void *argument) {
  size_t room = _IOC_SIZE(request);
  char name[100] = "", file[200];
  switch (_IOC_NR(request)) {
  case _IOC_NR(EVIOCGNAME(0)):
    name[content(path, "name", name, sizeof name - 1)] = 0;
    snprintf(argument, room, "%s", name);
    return (int)strlen(name) + 1;
  case _IOC_NR(EVIOCGPHYS(0)):
  case _IOC_NR(EVIOCGUNIQ(0)):
    return fails(ENOENT);
  case _IOC_NR(EVIOCGBIT(0, 0)):
    memset(argument, 0, room);
    *(uint8_t *)argument = 1 << EV_SYN | 1 << EV_KEY;
    return (int)room;
  case _IOC_NR(EVIOCGBIT(EV_KEY, 0)):
    memset(argument, 0xff, room);
    return (int)room;
  case _IOC_NR(EVIOCGKEY(0)):
    memset(argument, 0, room);
    content(path, "keys", argument, room);
    return (int)room;
  case _IOC_NR(EVIOCGRAB):
    if (exists(path, "busy")) return fails(EBUSY);
    beside(path, "ours", file, sizeof file);
    close(open(file, O_CREAT | O_CLOEXEC, 0600));
    return 0;
  default:
    if (_IOC_DIR(request) == _IOC_READ) memset(argument, 0, room);
    return 0;
  }
}

int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  char path[200];
  int is_gone;
  const char *ours = device(fd, path, sizeof path, &is_gone);
  if (*ours && is_gone) return fails(ENODEV);
  if (!strncmp(ours, "/dev/i2c", 8)) return i2c(request, argument);
  if (!strncmp(ours, "/dev/gpiochip", 13)) return chip(ours, request, argument);
  if (!strncmp(ours, "/dev/.gpiochip", 14)) return lines(request, argument);
  if (!strncmp(ours, "/dev/input", 10)) return keyboard(ours, request, argument);
  int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
  return real(fd, request, argument);
}

ssize_t read(int fd, void *out, size_t room) {
  ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
  char path[200];
  int is_gone;
  if (!strncmp(device(fd, path, sizeof path, &is_gone), "/dev/input", 10) && is_gone) return fails(ENODEV);
  return real(fd, out, room);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  char path[200];
  int is_gone;
  if (strncmp(device(fd, path, sizeof path, &is_gone), "/dev/i2c", 8)) return real(fd, bytes, length);
  if (is_gone) return fails(ENODEV);
  if (exists(path, "cut")) {
    char file[200];
    beside(path, "tries", file, sizeof file);
    int tries = open(file, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    real(tries, "", 1);
    close(tries);
    return fails(EREMOTEIO);
  }
  uint8_t framed[2 + 2048] = {(uint8_t)length, (uint8_t)(length >> 8)};
  if (length > 2048) return fails(EMSGSIZE);
  memcpy(framed + 2, bytes, length);
  lseek(fd, 0, SEEK_END);
  return real(fd, framed, 2 + length) == (ssize_t)length + 2 ? (ssize_t)length : fails(EIO);
}

int open64(const char *path, int flags, ...) {
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  /* Opening a device waits for nobody; a pipe would, for a writer. */
  if (!strncmp(path, "/dev/input/event", 16)) flags |= O_NONBLOCK;
  return real(strcmp(path, MODEL) ? path : "/dev/.model", flags, mode);
}
