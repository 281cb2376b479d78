#include <stdio.h>

/* Greets the first argument. */
int main(int count, char **words) {
    printf("hello %s from c\n", count > 1 ? words[1] : "nobody");
    return 0;
}
