/*
 * Counts what a program asks of the C library that a packet on its way must not need: memory and
 * locks. For the one file of a test program that the linker gives them to (Makefile: COUNTS_NEEDS);
 * what libraries of others ask for is not counted.
 */
#ifndef MSR_TESTS_NEEDS_H
#define MSR_TESTS_NEEDS_H

#include <pthread.h>
#include <stddef.h>

static unsigned needs; /* so far */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
int __real_pthread_mutex_lock(pthread_mutex_t *m);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);

void *__wrap_malloc(size_t n)
{
	needs++;
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	needs++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	needs++;
	return __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	needs++;
	return __real_reallocarray(p, n, size);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	needs++;
	return __real_pthread_mutex_lock(m);
}

#endif
