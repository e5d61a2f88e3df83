/* The commands, each in a file of its own. */

#ifndef DIGITS_COMMANDS_H
#define DIGITS_COMMANDS_H

#include "options.h"

extern const command command_train;
extern const command command_eval;
extern const command command_predict;
extern const command command_inspect;
extern const command command_report;
extern const command command_reproduce;
extern const command command_demo;
extern const command command_synth;

#endif
