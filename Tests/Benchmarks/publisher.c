/* Publishes the lines of a file to a stream as quickly as libnats can: asynchronously, each with an id, so many on their
   way at a time. What the NATS sink is measured against; it keeps no order when something fails. */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long failures;

static void check(natsStatus status, const char *what) {
    if (status == NATS_OK) return;
    fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(status));
    exit(1);
}

static void failed(jsCtx *context, jsPubAckErr *error, void *closure) {
    (void)context, (void)error, (void)closure;
    failures++;
}

int main(int count, char **arguments) {
    if (count != 5) return fprintf(stderr, "publisher URL STREAM WINDOW FILE\n"), 2;
    natsConnection *connection = NULL;
    jsCtx *context = NULL;
    jsOptions options;
    jsStreamConfig stream;
    char subjects[256], subject[256], id[64];
    const char *list[] = {subjects};
    snprintf(subjects, sizeof subjects, "%s.>", arguments[2]);
    snprintf(subject, sizeof subject, "%s.main.orders", arguments[2]);
    check(natsConnection_ConnectTo(&connection, arguments[1]), "connect");
    jsOptions_Init(&options);
    options.PublishAsync.MaxPending = atoi(arguments[3]);
    options.PublishAsync.StallWait = 60000;
    options.PublishAsync.ErrHandler = failed;
    check(natsConnection_JetStream(&context, connection, &options), "JetStream");
    jsStreamConfig_Init(&stream);
    stream.Name = arguments[2];
    stream.Subjects = list;
    stream.SubjectsLen = 1;
    check(js_AddStream(NULL, context, &stream, NULL, NULL), "stream");
    FILE *file = fopen(arguments[4], "r");
    if (!file) return perror(arguments[4]), 1;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    for (long number = 0; (length = getline(&line, &room, file)) > 0; number++) {
        jsPubOptions message;
        jsPubOptions_Init(&message);
        snprintf(id, sizeof id, "bench-%016lX-00000000", number);
        message.MsgId = id;
        check(js_PublishAsync(context, subject, line, (int)length - 1, &message), "publish");
    }
    jsPubOptions wait;
    jsPubOptions_Init(&wait);
    wait.MaxWait = 600000;
    check(js_PublishAsyncComplete(context, &wait), "answers");
    if (failures) return fprintf(stderr, "%ld messages failed\n", failures), 1;
    jsCtx_Destroy(context);
    natsConnection_Destroy(connection);
    return 0;
}
