/* A pod that works: every half second it asks the application for its share of a load, and burns that many thousandths
 * of a CPU, or holds that many MiB.
 *
 * usage: worker ADDRESS PORT cpu|memory NAME
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const double STEP = 0.5;

static void leave(int signal) {
  (void)signal;
  _exit(0);
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void rest(double length) {
  if (length <= 0) return;
  struct timespec pause = {(time_t)length, (long)((length - (double)(time_t)length) * 1e9)};
  nanosleep(&pause, NULL);
}

/* This worker's share; the last one when the application does not answer. */
static double share(const struct sockaddr_in *where, const char *name, double last) {
  char text[1024];
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  struct timeval patience = {2, 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(connection, (const struct sockaddr *)where, sizeof *where) == 0) {
    int length = snprintf(text, sizeof text, "GET /share/%s HTTP/1.0\r\n\r\n", name);
    size_t got = 0;
    ssize_t part;
    if (write(connection, text, (size_t)length) == length) {
      while ((part = read(connection, text + got, sizeof text - 1 - got)) > 0) {
        got += (size_t)part;
        text[got] = 0;
        char *body = strstr(text, "\r\n\r\n");
        if (body && strchr(body + 4, '\n')) {
          last = atof(body + 4);
          break;
        }
      }
    }
  }
  close(connection);
  return last;
}

/* Spends `wanted` thousandths of one CPU over the next step, by this process's own clock: whoever else is on the machine. */
static void burn(double wanted) {
  double began = seconds(CLOCK_MONOTONIC), end = began + STEP;
  double enough = seconds(CLOCK_PROCESS_CPUTIME_ID) + wanted / 1000 * STEP;
  volatile unsigned long work = 0;
  while (seconds(CLOCK_PROCESS_CPUTIME_ID) < enough && seconds(CLOCK_MONOTONIC) < end) {
    for (int i = 0; i < 20000; i++) work += (unsigned long)i;
  }
  rest(end - seconds(CLOCK_MONOTONIC));
}

/* Holds `wanted` MiB, every page of them touched, until the next call. */
static void hold(double wanted) {
  static char *held = NULL;
  static size_t size = 0;
  size_t now = (size_t)(wanted * 1048576);
  if (now != size) {
    if (held) munmap(held, size);
    size = now;
    held = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;
    if (held == MAP_FAILED) exit(3);
    if (held) memset(held, 1, size);
  }
  rest(STEP);
}

int main(int count, char **arguments) {
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in where = {.sin_family = AF_INET};
  if (count != 5 || inet_pton(AF_INET, arguments[1], &where.sin_addr) != 1) {
    fprintf(stderr, "usage: worker ADDRESS PORT cpu|memory NAME\n");
    return 2;
  }
  where.sin_port = htons((unsigned short)atoi(arguments[2]));
  double wanted = 0;
  for (;;) {
    wanted = share(&where, arguments[4], wanted);
    if (strcmp(arguments[3], "cpu") == 0) {
      burn(wanted);
    } else {
      hold(wanted);
    }
  }
}
